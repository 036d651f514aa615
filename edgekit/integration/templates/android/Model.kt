// One trained model: run it, rank its scores, and test it. How the file is loaded and run is in Engine.kt.
package edgekit.starter

import android.content.Context
import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Load it once and keep it. Loading and running take a while: do it on a background thread, one call at a time. */
class Model(private val context: Context) : AutoCloseable {
    private val engine = Engine(context)
    private val labels = context.assets.open("labels.txt").bufferedReader().readLines()

    /** The outputs for raw samples by input name, channels last: scaled and normalised here, as in the training. */
    fun predict(raw: Map<String, FloatArray>): Map<String, FloatArray> =
        run(
            ModelSpec.INPUTS.associate {
                it.name to Processing.prepare(raw.getValue(it.name), it, ModelSpec.PREPARATION)
            },
        )

    /** The outputs for input tensors that are ready. */
    fun run(inputs: Map<String, FloatArray>): Map<String, FloatArray> {
        val outputs = engine.run(ModelSpec.INPUTS.map { inputs.getValue(it.name) })
        return ModelSpec.OUTPUTS.map { it.name }.zip(outputs).toMap()
    }

    /** The largest scores with their labels. */
    fun rank(outputs: Map<String, FloatArray>, most: Int = 5): List<Ranked> {
        val scores = outputs.getValue(ModelSpec.SCORES)
        return Processing.rank(if (ModelSpec.SCORES_ARE_LOGITS) Processing.softmax(scores) else scores, labels, most)
    }

    /** Runs the check that came with the model; fails when its outputs are not those of the float model. */
    fun selfTest(): Float {
        val bytes = context.assets.open("check.bin").use { it.readBytes() }
        val values = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        val next = { info: TensorInfo -> FloatArray(info.count).also { values.get(it) } }
        val outputs = run(ModelSpec.INPUTS.associate { it.name to next(it) })
        val difference =
            ModelSpec.OUTPUTS.map { Processing.largestDifference(next(it), outputs.getValue(it.name)) }.max()
        check(difference <= ModelSpec.TOLERANCE) {
            "the outputs are $difference off, more than ${ModelSpec.TOLERANCE}"
        }
        return difference
    }

    override fun close() = engine.close()
}
