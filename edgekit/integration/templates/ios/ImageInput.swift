// Pictures: Core Graphics decodes them, Processing.swift scales and cuts them.

import CoreGraphics
import Foundation
import ImageIO

/// The raw values of a picture's file, such as a PNG or JPEG, turned upright as its EXIF data say.
public func readImage(_ file: Data, size: ImageSize) throws -> [Float] {
    guard
        let source = CGImageSourceCreateWithData(file as CFData, nil),
        let stored = CGImageSourceCreateImageAtIndex(source, 0, nil),
        // The only picture that ImageIO turns is a thumbnail; this one is as large as the picture itself.
        let picture = CGImageSourceCreateThumbnailAtIndex(
            source, 0,
            [
                kCGImageSourceCreateThumbnailFromImageAlways: true,
                kCGImageSourceCreateThumbnailWithTransform: true,
                kCGImageSourceThumbnailMaxPixelSize: max(stored.width, stored.height),
            ] as CFDictionary)
    else { throw ModelError("the picture cannot be read") }
    return try readImage(picture, size: size)
}

/// The raw values of a picture that is upright. Of a `UIImage`, `cgImage` is not; read its file instead.
public func readImage(_ picture: CGImage, size: ImageSize) throws -> [Float] {
    let (height, width) = (picture.height, picture.width)
    var rgba = [UInt8](repeating: 0, count: 4 * height * width)
    let drawn = rgba.withUnsafeMutableBytes { bytes -> Bool in
        guard
            let context = CGContext(
                data: bytes.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
                // The picture's own colours, not those of the screen.
                space: picture.colorSpace?.model == .rgb ? picture.colorSpace! : CGColorSpaceCreateDeviceRGB(),
                bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
        else { return false }
        context.draw(picture, in: CGRect(x: 0, y: 0, width: width, height: height))
        return true
    }
    guard drawn else { throw ModelError("the picture cannot be drawn") }
    return try Processing.fitImage(rgba, height: height, width: width, size: size)
}
