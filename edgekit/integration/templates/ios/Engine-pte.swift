// ExecuTorch: loads model.pte and runs it where it was built for.

import ExecuTorch
import Foundation

final class Engine {
    private let module: Module

    init() throws {
        module = Module(filePath: try TrainedModel.resource("model", "pte").path)
        try module.load("forward")
    }

    /// One array for each input and output, in the order of the file.
    func run(_ values: [[Float]]) throws -> [[Float]] {
        let inputs: [ValueConvertible] = zip(ModelSpec.inputs, values).map { Tensor<Float>($1, shape: $0.shape) }
        return try module.forward(inputs).map { value in
            guard let tensor: Tensor<Float> = value.tensor() else {
                throw ModelError("an output is no tensor of 32-bit floats")
            }
            return tensor.scalars()
        }
    }
}
