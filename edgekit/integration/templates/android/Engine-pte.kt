// ExecuTorch: loads model.pte and runs it where it was built for.
package edgekit.starter

import android.content.Context
import java.io.File
import org.pytorch.executorch.EValue
import org.pytorch.executorch.Module
import org.pytorch.executorch.Tensor

class Engine(context: Context) : AutoCloseable {
    private val module = Module.load(unpacked(context).path)

    /** One array for each input and output, in the order of the file. */
    fun run(values: List<FloatArray>): List<FloatArray> {
        val inputs = ModelSpec.INPUTS.zip(values) { info, array ->
            EValue.from(Tensor.fromBlob(array, LongArray(info.shape.size) { info.shape[it].toLong() }))
        }
        return module.forward(*inputs.toTypedArray()).map { it.toTensor().dataAsFloatArray }
    }

    override fun close() = module.destroy()

    /** ExecuTorch opens a file, and an asset is none: it is copied at every start, so that an update counts. */
    private fun unpacked(context: Context): File {
        val file = File(context.noBackupFilesDir, "model.pte")
        context.assets.open("model.pte").use { asset -> file.outputStream().use { asset.copyTo(it) } }
        return file
    }
}
