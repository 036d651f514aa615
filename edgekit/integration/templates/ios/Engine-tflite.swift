// LiteRT (TensorFlow Lite): loads model.tflite from the app and runs it on the CPU.

import Foundation
import TensorFlowLite

final class Engine {
    private let interpreter: Interpreter

    init() throws {
        interpreter = try Interpreter(modelPath: TrainedModel.resource("model", "tflite").path)
        try interpreter.allocateTensors()
    }

    /// One array for each input and output, in the order of the file.
    func run(_ values: [[Float]]) throws -> [[Float]] {
        for (index, array) in values.enumerated() {
            try interpreter.copy(array.withUnsafeBytes { Data($0) }, toInputAt: index)
        }
        try interpreter.invoke()
        return try ModelSpec.outputs.indices.map { index in
            let data = try interpreter.output(at: index).data
            var array = [Float](repeating: 0, count: data.count / MemoryLayout<Float>.stride)
            _ = array.withUnsafeMutableBytes { data.copyBytes(to: $0) }
            return array
        }
    }
}
