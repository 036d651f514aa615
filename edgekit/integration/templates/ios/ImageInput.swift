// Pictures: Core Graphics decodes them, Processing.swift scales and cuts them.

import CoreGraphics
import Foundation
import ImageIO

/// How PNG and JPEG files start.
private let starts: [[UInt8]] = [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], [0xff, 0xd8, 0xff]]
/// Larger pictures are refused before they are decoded, here as where the model was made.
private let mostPixels = 1 << 26

/// The raw values of a PNG or JPEG file, turned upright as its EXIF data say.
public func readImage(_ file: Data, size: ImageSize) throws -> [Float] {
    guard starts.contains(where: { file.starts(with: $0) }) else {
        throw ModelError("the picture is neither PNG nor JPEG: save it as one of these, or pass a CGImage, upright")
    }
    guard
        let source = CGImageSourceCreateWithData(file as CFData, nil),
        let facts = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any],
        let width = facts[kCGImagePropertyPixelWidth] as? Int,
        let height = facts[kCGImagePropertyPixelHeight] as? Int
    else { throw ModelError("the picture is damaged: copy it or save it again") }
    guard width <= mostPixels / max(1, height) else {
        throw ModelError("the picture has \(width) x \(height) pixels: scale it down first")
    }
    guard
        // The only picture that ImageIO turns is a thumbnail; this one is as large as the picture itself.
        let picture = CGImageSourceCreateThumbnailAtIndex(
            source, 0,
            [
                kCGImageSourceCreateThumbnailFromImageAlways: true,
                kCGImageSourceCreateThumbnailWithTransform: true,
                kCGImageSourceThumbnailMaxPixelSize: max(width, height),
            ] as CFDictionary)
    else { throw ModelError("the picture is damaged: copy it or save it again") }
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
