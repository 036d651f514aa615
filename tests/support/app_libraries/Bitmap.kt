package android.graphics

/** Pixels as `Bitmap.getPixels` gives them: alpha, red, green and blue from the highest byte down. */
class Bitmap(private val colours: IntArray, val width: Int, val height: Int) {
    fun getPixels(pixels: IntArray, offset: Int, stride: Int, x: Int, y: Int, width: Int, height: Int) {
        for (row in 0 until height) {
            for (column in 0 until width) {
                pixels[offset + row * stride + column] = colours[(y + row) * this.width + x + column]
            }
        }
    }
}
