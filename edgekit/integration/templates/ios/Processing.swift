// From raw samples to input tensors, and from output tensors to labels. Plain Swift: no frameworks.
// The arithmetic is that of the training: 32-bit floats, and Pillow's bicubic resizing to the last bit.

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// An input or output of the model: its name and its shape, batch first.
public struct TensorInfo {
    public let name: String
    public let shape: [Int]

    public var count: Int { shape.reduce(1, *) }
}

/// `(value * scale - mean) / std`: one mean and std, one for each channel, or none.
public struct Preparation {
    public let scale: Float
    public let mean: [Float]
    public let std: [Float]
    public let channelsFirst: Bool
}

/// The pictures that the model takes. With `resize`, others are scaled to them and cut; `crop` is the part kept.
public struct ImageSize {
    public let height: Int
    public let width: Int
    public let channels: Int
    public let resize: Bool
    public let crop: Double
}

/// Rows of pixels, `channels` values each.
public struct Pixels {
    public var data: [UInt8]
    public let height: Int
    public let width: Int
    public let channels: Int
}

public struct Ranked {
    public let label: String
    public let score: Float
}

/// What a model cannot be given, or does not give.
public struct ModelError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

public enum Processing {
    /// The values of an input tensor. Raw values come channels last, as in a picture (height, width, channels) or a
    /// series (time, channels).
    public static func prepare(_ raw: [Float], _ input: TensorInfo, _ preparation: Preparation) throws -> [Float] {
        guard raw.count == input.count else {
            throw ModelError("\(input.name) takes \(input.count) values, not \(raw.count)")
        }
        let sample = input.shape.dropFirst()
        let first = preparation.channelsFirst && sample.count > 1
        let channels = (first ? sample.first : sample.last) ?? 1
        let positions = raw.count / channels
        let mean = preparation.mean
        let std = preparation.std
        var values = [Float](repeating: 0, count: raw.count)
        for index in raw.indices {
            let channel = index % channels
            var value = raw[index] * preparation.scale
            if !mean.isEmpty { value -= mean[mean.count > 1 ? channel : 0] }
            if !std.isEmpty { value /= std[std.count > 1 ? channel : 0] }
            values[first ? channel * positions + index / channels : index] = value
        }
        return values
    }

    /// The raw values of a picture, grey or RGB, scaled and cut to the model's size. `rgba`: four bytes a pixel,
    /// upright and opaque.
    public static func fitImage(_ rgba: [UInt8], height: Int, width: Int, size: ImageSize) throws -> [Float] {
        var pixels = try withChannels(rgba, height: height, width: width, channels: size.channels)
        if size.resize {
            let factor = max(
                Double(size.height) / size.crop / Double(height), Double(size.width) / size.crop / Double(width))
            pixels = resizeBicubic(
                pixels,
                height: max(size.height, Int((Double(height) * factor).rounded(.toNearestOrEven))),
                width: max(size.width, Int((Double(width) * factor).rounded(.toNearestOrEven))))
        } else if height != size.height || width != size.width {
            throw ModelError("the model takes \(size.width) x \(size.height) pixels, not \(width) x \(height)")
        }
        return cutCentre(pixels, height: size.height, width: size.width)
    }

    /// Scores that add up to 1.
    public static func softmax(_ logits: [Float]) -> [Float] {
        let largest = logits.max() ?? 0
        let powers = logits.map { exp(Double($0 - largest)) }
        let sum = powers.reduce(0, +)
        return powers.map { Float($0 / sum) }
    }

    /// The largest scores with their labels (or numbers, where there are no labels), the largest first.
    public static func rank(_ scores: [Float], _ labels: [String], most: Int) -> [Ranked] {
        scores.indices.sorted { scores[$0] > scores[$1] }.prefix(most).map { index in
            Ranked(label: index < labels.count ? labels[index] : String(index), score: scores[index])
        }
    }

    /// The largest difference between two arrays; NaN when a value is not a number.
    public static func largestDifference(_ expected: [Float], _ given: [Float]) -> Float {
        guard expected.count == given.count else { return .nan }
        var largest: Float = 0
        for (one, other) in zip(expected, given) {
            let difference = abs(one - other)
            if difference.isNaN { return .nan }
            largest = max(largest, difference)
        }
        return largest
    }

    private static func withChannels(_ rgba: [UInt8], height: Int, width: Int, channels: Int) throws -> Pixels {
        var data = [UInt8]()
        data.reserveCapacity(height * width * channels)
        for pixel in 0..<(height * width) {
            guard rgba[4 * pixel + 3] == 255 else {
                throw ModelError("the picture is transparent in places: put it on a background first")
            }
            let colour = rgba[(4 * pixel)..<(4 * pixel + 3)].map { Int($0) }
            if channels == 1 {
                data.append(UInt8((colour[0] * 19595 + colour[1] * 38470 + colour[2] * 7471 + 0x8000) >> 16))
            } else {
                data.append(contentsOf: rgba[(4 * pixel)..<(4 * pixel + 3)])
            }
        }
        return Pixels(data: data, height: height, width: width, channels: channels)
    }

    private static func cutCentre(_ pixels: Pixels, height: Int, width: Int) -> [Float] {
        let top = (pixels.height - height) / 2
        let left = (pixels.width - width) / 2
        let row = width * pixels.channels
        return (0..<(height * row)).map { index in
            let start = ((top + index / row) * pixels.width + left) * pixels.channels
            return Float(pixels.data[start + index % row])
        }
    }

    /// Bicubic, as Pillow does it for 8-bit images: along the rows, then along the columns, in fixed point.
    public static func resizeBicubic(_ pixels: Pixels, height: Int, width: Int) -> Pixels {
        let channels = pixels.channels
        var data = pixels.data
        if width != pixels.width {
            var wide = [UInt8](repeating: 0, count: pixels.height * width * channels)
            for (x, weight) in weights(from: pixels.width, to: width).enumerated() {
                for y in 0..<pixels.height {
                    for channel in 0..<channels {
                        let from = (y * pixels.width + weight.start) * channels + channel
                        wide[(y * width + x) * channels + channel] = weighted(data, from, channels, weight.factors)
                    }
                }
            }
            data = wide
        }
        if height != pixels.height {
            let row = width * channels
            var high = [UInt8](repeating: 0, count: height * row)
            for (y, weight) in weights(from: pixels.height, to: height).enumerated() {
                for column in 0..<row {
                    high[y * row + column] = weighted(data, weight.start * row + column, row, weight.factors)
                }
            }
            data = high
        }
        return Pixels(data: data, height: height, width: width, channels: channels)
    }

    /// For one new place: the first old place that counts, and the factors of that one and those after it.
    private struct Weight {
        let start: Int
        let factors: [Int]
    }

    /// Bits behind the point of a factor.
    private static let precision = 22

    private static func weighted(_ data: [UInt8], _ from: Int, _ step: Int, _ factors: [Int]) -> UInt8 {
        var sum = 1 << (precision - 1)
        for (index, factor) in factors.enumerated() {
            sum += Int(data[from + index * step]) * factor
        }
        return UInt8(min(255, max(0, sum >> precision)))
    }

    private static func weights(from: Int, to: Int) -> [Weight] {
        let scale = Double(from) / Double(to)
        let stretch = max(1, scale)
        let reach = 2 * stretch
        return (0..<to).map { place in
            let centre = (Double(place) + 0.5) * scale
            let start = max(0, Int(centre - reach + 0.5))
            let end = min(from, Int(centre + reach + 0.5))
            let exact = (start..<end).map { cubic((Double($0) - centre + 0.5) * (1 / stretch)) }
            let sum = exact.reduce(0, +)
            let factors = exact.map { factor -> Int in
                let large = factor / sum * Double(1 << precision)
                return Int(large < 0 ? large - 0.5 : large + 0.5)
            }
            return Weight(start: start, factors: factors)
        }
    }

    private static func cubic(_ distance: Double) -> Double {
        let x = abs(distance)
        if x < 1 { return (1.5 * x - 2.5) * x * x + 1 }
        if x < 2 { return (((x - 5) * x + 8) * x - 4) * -0.5 }
        return 0
    }
}
