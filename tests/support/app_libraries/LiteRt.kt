// Stand-ins for what the starters use of LiteRT's Kotlin API, declared as in its sources
// (github.com/google-ai-edge/LiteRT, litert/kotlin). The model answers with the file answers.bin among the assets.
package com.google.ai.edge.litert

import android.content.res.AssetManager
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

enum class Accelerator { NONE, CPU, GPU, NPU }

class LiteRtException(message: String) : Exception(message)

abstract class JniHandle : AutoCloseable {
    final override fun close() {}
}

class TensorBuffer internal constructor() : JniHandle() {
    internal var data = FloatArray(0)

    @Throws(LiteRtException::class)
    fun writeFloat(data: FloatArray) {
        this.data = data
    }

    @Throws(LiteRtException::class)
    fun readFloat(): FloatArray = data
}

class CompiledModel private constructor(private val folder: File) : JniHandle() {
    class Options(internal val accelerators: Set<Accelerator>) {
        constructor(vararg accelerators: Accelerator) : this(setOf(*accelerators))
    }

    private val sizes = File(folder, "sizes.txt").readLines().map { line -> line.split(" ").map { it.toInt() } }

    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = sizes[signatureIndex].map { TensorBuffer() }

    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = sizes[1].map { TensorBuffer() }

    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0) {
        check(inputs.map { it.data.size } == sizes[signatureIndex]) { "inputs of another size" }
        val values = ByteBuffer.wrap(File(folder, "answers.bin").readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        outputs.zip(sizes[1]).forEach { (buffer, size) -> buffer.data = FloatArray(size).also { values.get(it) } }
    }

    companion object {
        @JvmStatic
        fun create(
            assetManager: AssetManager,
            assetName: String,
            options: Options = Options(Accelerator.CPU),
        ): CompiledModel {
            check(File(assetManager.folder, assetName).isFile && options.accelerators == setOf(Accelerator.CPU))
            return CompiledModel(assetManager.folder)
        }
    }
}
