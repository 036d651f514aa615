// Pictures: Core Graphics decodes them, Processing.swift scales and cuts them.

import CoreGraphics
import Foundation

/// The raw values of a picture. Of a `UIImage`: `image.cgImage`, after it was turned upright.
public func readImage(_ picture: CGImage, size: ImageSize) throws -> [Float] {
    let (height, width) = (picture.height, picture.width)
    var rgba = [UInt8](repeating: 0, count: 4 * height * width)
    let drawn = rgba.withUnsafeMutableBytes { bytes -> Bool in
        guard
            let context = CGContext(
                data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
                // The picture's own colours, not those of the screen.
                space: picture.colorSpace?.model == .rgb ? picture.colorSpace! : CGColorSpaceCreateDeviceRGB(),
                bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)
        else { return false }
        context.draw(picture, in: CGRect(x: 0, y: 0, width: width, height: height))
        return true
    }
    guard drawn else { throw ModelError("the picture cannot be drawn") }
    return try Processing.fitImage(rgba, height: height, width: width, size: size)
}
