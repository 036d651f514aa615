// LiteRT: loads model.tflite from the app and runs it on the CPU. Accelerator.GPU takes the same file to the GPU, which
// computes in half precision.
package edgekit.starter

import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel

class Engine(context: Context) : AutoCloseable {
    private val model =
        CompiledModel.create(context.assets, "model.tflite", CompiledModel.Options(Accelerator.CPU))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** One array for each input and output, in the order of the file. */
    fun run(values: List<FloatArray>): List<FloatArray> {
        inputs.zip(values).forEach { (buffer, array) -> buffer.writeFloat(array) }
        model.run(inputs, outputs)
        return outputs.map { it.readFloat() }
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        model.close()
    }
}
