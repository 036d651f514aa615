// Stand-ins for what the starters use of ExecuTorch's Android API, declared as in its sources
// (github.com/pytorch/executorch, extension/android). The model answers with the file answers.bin among the assets.
package org.pytorch.executorch

import java.io.Closeable
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder

class Tensor private constructor(private val data: FloatArray, private val shape: LongArray) {
    val dataAsFloatArray: FloatArray
        get() = data

    fun shape(): LongArray = shape.copyOf()

    companion object {
        @JvmStatic
        fun fromBlob(data: FloatArray, shape: LongArray): Tensor {
            check(data.size.toLong() == shape.fold(1L) { product, size -> product * size }) { "data of another shape" }
            return Tensor(data, shape)
        }
    }
}

class EValue private constructor(private val tensor: Tensor) {
    fun toTensor(): Tensor = tensor

    companion object {
        @JvmStatic fun from(tensor: Tensor): EValue = EValue(tensor)
    }
}

open class Module private constructor(private val folder: File) : Closeable {
    private val sizes = File(folder, "sizes.txt").readLines().map { line -> line.split(" ").map { it.toInt() } }

    open fun forward(vararg inputs: EValue): Array<EValue> {
        check(inputs.map { it.toTensor().dataAsFloatArray.size } == sizes[0]) { "inputs of another size" }
        val values = ByteBuffer.wrap(File(folder, "answers.bin").readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
        return sizes[1]
            .map { size -> EValue.from(Tensor.fromBlob(FloatArray(size).also { values.get(it) }, longArrayOf(size.toLong()))) }
            .toTypedArray()
    }

    open fun destroy() {}

    override fun close() = destroy()

    companion object {
        @JvmStatic
        @JvmOverloads
        fun load(modelPath: String?, loadMode: Int = 0, numThreads: Int = 0): Module =
            Module(File(modelPath!!).parentFile.parentFile)
    }
}
