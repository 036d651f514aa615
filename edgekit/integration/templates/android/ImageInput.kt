// Pictures: Android decodes them, Processing.kt scales and cuts them.
package edgekit.starter

import android.graphics.Bitmap

/**
 * The raw values of [bitmap], which is upright: `ImageDecoder` turns a photograph as its EXIF data say, `BitmapFactory` and
 * camera frames do not. For one on the GPU: `bitmap.copy(Bitmap.Config.ARGB_8888, false)` first.
 */
fun readImage(bitmap: Bitmap, size: ImageSize): FloatArray {
    val colours = IntArray(bitmap.width * bitmap.height)
    bitmap.getPixels(colours, 0, bitmap.width, 0, 0, bitmap.width, bitmap.height)
    val rgba = ByteArray(4 * colours.size)
    colours.forEachIndexed { pixel, colour ->
        rgba[4 * pixel] = (colour shr 16).toByte()
        rgba[4 * pixel + 1] = (colour shr 8).toByte()
        rgba[4 * pixel + 2] = colour.toByte()
        rgba[4 * pixel + 3] = (colour shr 24).toByte()
    }
    return Processing.fitImage(rgba, bitmap.height, bitmap.width, size)
}
