// From raw samples to input tensors, and from output tensors to labels. Plain Dart: no Flutter.
// The arithmetic is that of the training: 32-bit floats, and Pillow's bicubic resizing to the last bit.

import 'dart:math';
import 'dart:typed_data';

/// An input or output of the model: its name and its shape, batch first.
class TensorInfo {
  const TensorInfo(this.name, this.shape);

  final String name;
  final List<int> shape;

  int get count => shape.fold(1, (product, size) => product * size);
}

/// `(value * scale - mean) / std`: one mean and std, one for each channel, or none.
class Preparation {
  const Preparation({required this.scale, required this.mean, required this.std, required this.channelsFirst});

  final double scale;
  final List<double> mean;
  final List<double> std;
  final bool channelsFirst;
}

/// The pictures that the model takes. With [resize], others are scaled to them and cut; [crop] is the part kept.
class ImageSize {
  const ImageSize({
    required this.height,
    required this.width,
    required this.channels,
    required this.resize,
    required this.crop,
  });

  final int height;
  final int width;
  final int channels;
  final bool resize;
  final double crop;
}

/// Rows of pixels, [channels] values each.
class Pixels {
  const Pixels(this.data, this.height, this.width, this.channels);

  final Uint8List data;
  final int height;
  final int width;
  final int channels;
}

class Ranked {
  const Ranked(this.label, this.score);

  final String label;
  final double score;
}

/// The values of an input tensor. Raw values come channels last, as in a picture (height, width, channels) or a
/// series (time, channels).
Float32List prepare(List<double> raw, TensorInfo input, Preparation preparation) {
  if (raw.length != input.count) {
    throw ArgumentError('${input.name} takes ${input.count} values, not ${raw.length}');
  }
  final sample = input.shape.skip(1).toList();
  final first = preparation.channelsFirst && sample.length > 1;
  final channels = sample.isEmpty ? 1 : (first ? sample.first : sample.last);
  final positions = raw.length ~/ channels;
  final scale = _single(preparation.scale);
  final mean = preparation.mean.map(_single).toList();
  final std = preparation.std.map(_single).toList();
  final values = Float32List(raw.length);
  for (var index = 0; index < raw.length; index++) {
    final channel = index % channels;
    // Dart computes with 64 bits; the training rounded to 32 after every step.
    var value = _single(_single(raw[index]) * scale);
    if (mean.isNotEmpty) {
      value = _single(value - mean[mean.length > 1 ? channel : 0]);
    }
    if (std.isNotEmpty) {
      value = _single(value / std[std.length > 1 ? channel : 0]);
    }
    values[first ? channel * positions + index ~/ channels : index] = value;
  }
  return values;
}

/// The raw values of a picture, grey or RGB, scaled and cut to the model's size. [rgba]: four bytes a pixel,
/// upright and opaque.
Float32List fitImage(Uint8List rgba, int height, int width, ImageSize size) {
  var pixels = _withChannels(rgba, height, width, size.channels);
  if (size.resize) {
    final factor = max(size.height / size.crop / height, size.width / size.crop / width);
    final newHeight = max(size.height, _roundHalfEven(height * factor));
    final newWidth = max(size.width, _roundHalfEven(width * factor));
    pixels = resizeBicubic(pixels, newHeight, newWidth);
  } else if (height != size.height || width != size.width) {
    throw ArgumentError('the model takes ${size.width} x ${size.height} pixels, not $width x $height');
  }
  return _cutCentre(pixels, size.height, size.width);
}

/// Scores that add up to 1.
List<double> softmax(List<double> logits) {
  final largest = logits.reduce(max);
  final powers = logits.map((value) => exp(value - largest)).toList();
  final sum = powers.reduce((total, power) => total + power);
  return powers.map((power) => power / sum).toList();
}

/// The largest scores with their labels (or numbers, where there are no labels), the largest first.
List<Ranked> rank(List<double> scores, List<String> labels, int most) {
  final order = List.generate(scores.length, (index) => index);
  order.sort((one, other) => scores[other].compareTo(scores[one]));
  return order
      .take(most)
      .map((index) => Ranked(index < labels.length ? labels[index] : '$index', scores[index]))
      .toList();
}

/// The largest difference between two lists; NaN when a value is not a number.
double largestDifference(List<double> expected, List<double> given) {
  if (expected.length != given.length) {
    return double.nan;
  }
  var largest = 0.0;
  for (var index = 0; index < expected.length; index++) {
    largest = max(largest, (expected[index] - given[index]).abs());
  }
  return largest;
}

Pixels _withChannels(Uint8List rgba, int height, int width, int channels) {
  final data = Uint8List(height * width * channels);
  for (var pixel = 0; pixel < height * width; pixel++) {
    if (rgba[4 * pixel + 3] != 255) {
      throw ArgumentError('the picture is transparent in places: put it on a background first');
    }
    final red = rgba[4 * pixel];
    final green = rgba[4 * pixel + 1];
    final blue = rgba[4 * pixel + 2];
    if (channels == 1) {
      data[pixel] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      data[3 * pixel] = red;
      data[3 * pixel + 1] = green;
      data[3 * pixel + 2] = blue;
    }
  }
  return Pixels(data, height, width, channels);
}

Float32List _cutCentre(Pixels pixels, int height, int width) {
  final top = (pixels.height - height) ~/ 2;
  final left = (pixels.width - width) ~/ 2;
  final row = width * pixels.channels;
  final values = Float32List(height * row);
  for (var index = 0; index < values.length; index++) {
    final start = ((top + index ~/ row) * pixels.width + left) * pixels.channels;
    values[index] = pixels.data[start + index % row].toDouble();
  }
  return values;
}

/// Bicubic, as Pillow does it for 8-bit images: along the rows, then along the columns, in fixed point.
Pixels resizeBicubic(Pixels pixels, int height, int width) {
  final channels = pixels.channels;
  var data = pixels.data;
  if (width != pixels.width) {
    final wide = Uint8List(pixels.height * width * channels);
    final weights = _weights(pixels.width, width);
    for (var x = 0; x < width; x++) {
      for (var y = 0; y < pixels.height; y++) {
        for (var channel = 0; channel < channels; channel++) {
          final from = (y * pixels.width + weights[x].start) * channels + channel;
          wide[(y * width + x) * channels + channel] = _weighted(data, from, channels, weights[x].factors);
        }
      }
    }
    data = wide;
  }
  if (height != pixels.height) {
    final row = width * channels;
    final high = Uint8List(height * row);
    final weights = _weights(pixels.height, height);
    for (var y = 0; y < height; y++) {
      for (var column = 0; column < row; column++) {
        high[y * row + column] = _weighted(data, weights[y].start * row + column, row, weights[y].factors);
      }
    }
    data = high;
  }
  return Pixels(data, height, width, channels);
}

/// For one new place: the first old place that counts, and the factors of that one and those after it.
class _Weight {
  const _Weight(this.start, this.factors);

  final int start;
  final List<int> factors;
}

/// Bits behind the point of a factor.
const _precision = 22;

int _weighted(Uint8List data, int from, int step, List<int> factors) {
  var sum = 1 << (_precision - 1);
  for (var index = 0; index < factors.length; index++) {
    sum += data[from + index * step] * factors[index];
  }
  return (sum >> _precision).clamp(0, 255);
}

List<_Weight> _weights(int from, int to) {
  final scale = from / to;
  final stretch = max(1.0, scale);
  final reach = 2 * stretch;
  return List.generate(to, (place) {
    final centre = (place + 0.5) * scale;
    final start = max(0, (centre - reach + 0.5).truncate());
    final end = min(from, (centre + reach + 0.5).truncate());
    final exact = List.generate(end - start, (index) => _cubic((index + start - centre + 0.5) * (1 / stretch)));
    final sum = exact.reduce((total, factor) => total + factor);
    final factors = exact.map((factor) {
      final large = factor / sum * (1 << _precision);
      return (large < 0 ? large - 0.5 : large + 0.5).truncate();
    }).toList();
    return _Weight(start, factors);
  });
}

double _cubic(double distance) {
  final x = distance.abs();
  if (x < 1) {
    return (1.5 * x - 2.5) * x * x + 1;
  }
  if (x < 2) {
    return (((x - 5) * x + 8) * x - 4) * -0.5;
  }
  return 0;
}

int _roundHalfEven(double value) {
  final below = value.floor();
  if (value - below != 0.5) {
    return value.round();
  }
  return below.isEven ? below : below + 1;
}

final _place = Float32List(1);

/// [value] with the precision of 32 bits.
double _single(double value) {
  _place[0] = value;
  return _place[0];
}
