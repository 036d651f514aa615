// One trained model: run it, rank its scores, and test it. How the file is loaded and run is in Engine.swift.

import Foundation

/// Load it once and keep it. Loading and running take a while: do it off the main thread, one call at a time.
public final class TrainedModel {
    private let engine: Engine
    private let labels: [String]

    public init() throws {
        engine = try Engine()
        let text = try String(contentsOf: Self.resource("labels", "txt"), encoding: .utf8)
        labels = text.components(separatedBy: "\n")
    }

    /// The outputs for raw samples by input name, channels last: scaled and normalised here, as in the training.
    public func predict(_ raw: [String: [Float]]) throws -> [String: [Float]] {
        var inputs: [String: [Float]] = [:]
        for input in ModelSpec.inputs {
            inputs[input.name] = try Processing.prepare(named(raw, input.name), input, ModelSpec.preparation)
        }
        return try run(inputs)
    }

    /// The outputs for input tensors that are ready.
    public func run(_ inputs: [String: [Float]]) throws -> [String: [Float]] {
        let outputs = try engine.run(ModelSpec.inputs.map { try named(inputs, $0.name) })
        return Dictionary(uniqueKeysWithValues: zip(ModelSpec.outputs.map { $0.name }, outputs))
    }

    /// The largest scores with their labels.
    public func rank(_ outputs: [String: [Float]], most: Int = 5) throws -> [Ranked] {
        let scores = try named(outputs, ModelSpec.scores)
        return Processing.rank(ModelSpec.scoresAreLogits ? Processing.softmax(scores) : scores, labels, most: most)
    }

    /// Runs the check that came with the model; fails when its outputs are not those of the float model.
    @discardableResult
    public func selfTest() throws -> Float {
        let data = try Data(contentsOf: Self.resource("check", "bin"))
        var values = [Float](repeating: 0, count: data.count / MemoryLayout<Float>.stride)
        _ = values.withUnsafeMutableBytes { data.copyBytes(to: $0) }
        var start = 0
        func next(_ info: TensorInfo) -> [Float] {
            defer { start += info.count }
            return Array(values[start..<(start + info.count)])
        }
        let outputs = try run(Dictionary(uniqueKeysWithValues: ModelSpec.inputs.map { ($0.name, next($0)) }))
        var difference: Float = 0
        for output in ModelSpec.outputs {
            let found = Processing.largestDifference(next(output), try named(outputs, output.name))
            difference = found.isNaN ? found : max(difference, found)
        }
        guard difference <= ModelSpec.tolerance else {
            throw ModelError("the outputs are \(difference) off, more than \(ModelSpec.tolerance)")
        }
        return difference
    }

    static func resource(_ name: String, _ suffix: String) throws -> URL {
        guard let url = ModelSpec.resources.url(forResource: name, withExtension: suffix) else {
            throw ModelError("\(name).\(suffix) is not in the app")
        }
        return url
    }

    private func named(_ values: [String: [Float]], _ name: String) throws -> [Float] {
        guard let value = values[name] else { throw ModelError("\(name) is missing") }
        return value
    }
}
