// From raw samples to input tensors, and from output tensors to labels. Plain Kotlin: no Android classes.
// The arithmetic is that of the training: 32-bit floats, and Pillow's bicubic resizing to the last bit.
package edgekit.starter

import kotlin.math.abs
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

/** An input or output of the model: its name and its shape, batch first. */
class TensorInfo(val name: String, vararg val shape: Int) {
    val count: Int = shape.fold(1) { product, size -> product * size }
}

/** `(value * scale - mean) / std`: one mean and std, one for each channel, or none. */
class Preparation(val scale: Float, val mean: FloatArray, val std: FloatArray, val channelsFirst: Boolean)

/** The pictures that the model takes. With [resize], others are scaled to them and cut; [crop] is the part kept. */
class ImageSize(val height: Int, val width: Int, val channels: Int, val resize: Boolean, val crop: Double)

/** Rows of pixels, [channels] values each. */
class Pixels(val data: ByteArray, val height: Int, val width: Int, val channels: Int)

data class Ranked(val label: String, val score: Float)

object Processing {
    /**
     * The values of an input tensor. Raw values come channels last, as in a picture (height, width, channels) or a
     * series (time, channels).
     */
    fun prepare(raw: FloatArray, input: TensorInfo, preparation: Preparation): FloatArray {
        require(raw.size == input.count) { "${input.name} takes ${input.count} values, not ${raw.size}" }
        val sample = input.shape.drop(1)
        val first = preparation.channelsFirst && sample.size > 1
        val channels = (if (first) sample.firstOrNull() else sample.lastOrNull()) ?: 1
        val positions = raw.size / channels
        val mean = preparation.mean
        val std = preparation.std
        val values = FloatArray(raw.size)
        for (index in raw.indices) {
            val channel = index % channels
            var value = raw[index] * preparation.scale
            if (mean.isNotEmpty()) value -= mean[if (mean.size > 1) channel else 0]
            if (std.isNotEmpty()) value /= std[if (std.size > 1) channel else 0]
            values[if (first) channel * positions + index / channels else index] = value
        }
        return values
    }

    /**
     * The raw values of a picture, grey or RGB, scaled and cut to the model's size. [rgba]: four bytes a pixel, upright
     * and opaque.
     */
    fun fitImage(rgba: ByteArray, height: Int, width: Int, size: ImageSize): FloatArray {
        var pixels = withChannels(rgba, height, width, size.channels)
        if (size.resize) {
            val factor = max(size.height / size.crop / height, size.width / size.crop / width)
            // Kotlin's round takes halves to the even number, as the training did.
            val newHeight = max(size.height, round(height * factor).toInt())
            val newWidth = max(size.width, round(width * factor).toInt())
            pixels = resizeBicubic(pixels, newHeight, newWidth)
        } else {
            require(height == size.height && width == size.width) {
                "the model takes ${size.width} x ${size.height} pixels, not $width x $height"
            }
        }
        return cutCentre(pixels, size.height, size.width)
    }

    /** Scores that add up to 1. */
    fun softmax(logits: FloatArray): FloatArray {
        val largest = logits.max()
        val powers = logits.map { exp((it - largest).toDouble()) }
        val sum = powers.sum()
        return FloatArray(logits.size) { (powers[it] / sum).toFloat() }
    }

    /** The largest scores with their labels (or numbers, where there are no labels), the largest first. */
    fun rank(scores: FloatArray, labels: List<String>, most: Int): List<Ranked> =
        scores.indices.sortedByDescending { scores[it] }.take(most)
            .map { Ranked(labels.getOrElse(it) { number -> number.toString() }, scores[it]) }

    /** The largest difference between two arrays; NaN when a value is not a number. */
    fun largestDifference(expected: FloatArray, given: FloatArray): Float {
        if (expected.size != given.size) return Float.NaN
        return expected.indices.fold(0f) { largest, index -> max(largest, abs(expected[index] - given[index])) }
    }

    private fun withChannels(rgba: ByteArray, height: Int, width: Int, channels: Int): Pixels {
        val data = ByteArray(height * width * channels)
        for (pixel in 0 until height * width) {
            require(rgba[4 * pixel + 3] == 0xff.toByte()) {
                "the picture is transparent in places: put it on a background first"
            }
            if (channels == 1) {
                val (red, green, blue) = IntArray(3) { rgba[4 * pixel + it].toInt() and 0xff }
                data[pixel] = ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) shr 16).toByte()
            } else {
                rgba.copyInto(data, 3 * pixel, 4 * pixel, 4 * pixel + 3)
            }
        }
        return Pixels(data, height, width, channels)
    }

    private fun cutCentre(pixels: Pixels, height: Int, width: Int): FloatArray {
        val top = (pixels.height - height) / 2
        val left = (pixels.width - width) / 2
        val row = width * pixels.channels
        return FloatArray(height * row) { index ->
            val start = ((top + index / row) * pixels.width + left) * pixels.channels
            (pixels.data[start + index % row].toInt() and 0xff).toFloat()
        }
    }

    /** Bicubic, as Pillow does it for 8-bit images: along the rows, then along the columns, in fixed point. */
    fun resizeBicubic(pixels: Pixels, height: Int, width: Int): Pixels {
        val channels = pixels.channels
        var data = pixels.data
        if (width != pixels.width) {
            val wide = ByteArray(pixels.height * width * channels)
            weights(pixels.width, width).forEachIndexed { x, weight ->
                for (y in 0 until pixels.height) {
                    for (channel in 0 until channels) {
                        val from = (y * pixels.width + weight.start) * channels + channel
                        wide[(y * width + x) * channels + channel] = weighted(data, from, channels, weight.factors)
                    }
                }
            }
            data = wide
        }
        if (height != pixels.height) {
            val row = width * channels
            val high = ByteArray(height * row)
            weights(pixels.height, height).forEachIndexed { y, weight ->
                for (column in 0 until row) {
                    high[y * row + column] = weighted(data, weight.start * row + column, row, weight.factors)
                }
            }
            data = high
        }
        return Pixels(data, height, width, channels)
    }

    /** For one new place: the first old place that counts, and the factors of that one and those after it. */
    private class Weight(val start: Int, val factors: IntArray)

    /** Bits behind the point of a factor. */
    private const val PRECISION = 22

    private fun weighted(data: ByteArray, from: Int, step: Int, factors: IntArray): Byte {
        var sum = 1 shl (PRECISION - 1)
        for (index in factors.indices) sum += (data[from + index * step].toInt() and 0xff) * factors[index]
        return (sum shr PRECISION).coerceIn(0, 255).toByte()
    }

    private fun weights(from: Int, to: Int): List<Weight> {
        val scale = from.toDouble() / to
        val stretch = max(1.0, scale)
        val reach = 2 * stretch
        return List(to) { place ->
            val centre = (place + 0.5) * scale
            val start = max(0, (centre - reach + 0.5).toInt())
            val end = min(from, (centre + reach + 0.5).toInt())
            val exact = DoubleArray(end - start) { cubic((it + start - centre + 0.5) * (1 / stretch)) }
            val sum = exact.sum()
            val factors = IntArray(exact.size) {
                val large = exact[it] / sum * (1 shl PRECISION)
                (if (large < 0) large - 0.5 else large + 0.5).toInt()
            }
            Weight(start, factors)
        }
    }

    private fun cubic(distance: Double): Double {
        val x = abs(distance)
        return when {
            x < 1 -> (1.5 * x - 2.5) * x * x + 1
            x < 2 -> (((x - 5) * x + 8) * x - 4) * -0.5
            else -> 0.0
        }
    }
}
