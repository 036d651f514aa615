// From raw samples to input tensors, and from output tensors to labels. Imports nothing, so it runs anywhere.
// The arithmetic is that of the training: 32-bit floats, and Pillow's bicubic resizing to the last bit.

/** @typedef {{name: string, shape: number[]}} TensorInfo */
/** @typedef {{scale: number, mean: number[], std: number[], channelsFirst: boolean}} Preparation */
/** @typedef {{height: number, width: number, channels: number, resize: boolean, crop: number}} ImageSize */
/** @typedef {{data: Uint8Array | Uint8ClampedArray, height: number, width: number, channels: number}} Pixels */
/** @typedef {{label: string, score: number}} Ranked */

/**
 * The number of values in a tensor.
 * @param {TensorInfo} info
 */
export function count(info) {
  return info.shape.reduce((product, size) => product * size, 1);
}

/**
 * The values of an input tensor. Raw values come channels last, as in a picture (height, width, channels) or a series
 * (time, channels).
 * @param {ArrayLike<number>} raw
 * @param {TensorInfo} input
 * @param {Preparation} preparation
 */
export function prepare(raw, input, preparation) {
  if (raw.length !== count(input)) {
    throw new Error(`${input.name} takes ${count(input)} values, not ${raw.length}`);
  }
  const sample = input.shape.slice(1);
  const first = preparation.channelsFirst && sample.length > 1;
  const channels = (first ? sample[0] : sample[sample.length - 1]) ?? 1;
  const positions = raw.length / channels;
  const { mean, std } = preparation;
  const scale = Math.fround(preparation.scale);
  const values = new Float32Array(raw.length);
  for (let index = 0; index < raw.length; index++) {
    const channel = index % channels;
    // A Float32Array would round once, at the end; the training rounded after every step.
    let value = Math.fround(Math.fround(raw[index]) * scale);
    if (mean.length > 0) value = Math.fround(value - Math.fround(mean[mean.length > 1 ? channel : 0]));
    if (std.length > 0) value = Math.fround(value / Math.fround(std[std.length > 1 ? channel : 0]));
    values[first ? channel * positions + (index - channel) / channels : index] = value;
  }
  return values;
}

/**
 * The raw values of a picture: grey or RGB, scaled and cut to the model's size.
 * @param {Uint8Array | Uint8ClampedArray} rgba four bytes a pixel, row by row; upright and opaque
 * @param {number} height
 * @param {number} width
 * @param {ImageSize} size
 */
export function fitImage(rgba, height, width, size) {
  let pixels = withChannels(rgba, height, width, size.channels);
  if (size.resize) {
    const factor = Math.max(size.height / size.crop / height, size.width / size.crop / width);
    pixels = resizeBicubic(
      pixels,
      Math.max(size.height, roundHalfEven(height * factor)),
      Math.max(size.width, roundHalfEven(width * factor)),
    );
  } else if (height !== size.height || width !== size.width) {
    throw new Error(`the model takes ${size.width} x ${size.height} pixels, not ${width} x ${height}`);
  }
  return cutCentre(pixels, size.height, size.width);
}

/**
 * Scores that add up to 1.
 * @param {ArrayLike<number>} logits
 */
export function softmax(logits) {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/**
 * The largest scores with their labels (or numbers, where there are no labels), the largest first.
 * @param {ArrayLike<number>} scores
 * @param {string[]} labels
 * @param {number} most
 * @returns {Ranked[]}
 */
export function rank(scores, labels, most) {
  return Array.from(scores, (score, index) => ({ label: labels[index] ?? String(index), score }))
    .sort((one, other) => other.score - one.score)
    .slice(0, most);
}

/**
 * The largest difference between two lists of values. NaN when a value is not a number.
 * @param {ArrayLike<number>} expected
 * @param {ArrayLike<number>} given
 */
export function largestDifference(expected, given) {
  if (expected.length !== given.length) return NaN;
  let largest = 0;
  for (let index = 0; index < expected.length; index++) {
    largest = Math.max(largest, Math.abs(expected[index] - given[index]));
  }
  return largest;
}

/**
 * @param {Uint8Array | Uint8ClampedArray} rgba
 * @param {number} height
 * @param {number} width
 * @param {number} channels
 * @returns {Pixels}
 */
function withChannels(rgba, height, width, channels) {
  const data = new Uint8Array(height * width * channels);
  for (let pixel = 0; pixel < height * width; pixel++) {
    if (rgba[4 * pixel + 3] !== 255) throw new Error('the picture is transparent in places: put it on a background first');
    const [red, green, blue] = [rgba[4 * pixel], rgba[4 * pixel + 1], rgba[4 * pixel + 2]];
    if (channels === 1) {
      data[pixel] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    } else {
      data.set([red, green, blue], 3 * pixel);
    }
  }
  return { data, height, width, channels };
}

/**
 * @param {Pixels} pixels
 * @param {number} height
 * @param {number} width
 */
function cutCentre(pixels, height, width) {
  const top = Math.floor((pixels.height - height) / 2);
  const left = Math.floor((pixels.width - width) / 2);
  const values = new Float32Array(height * width * pixels.channels);
  const row = width * pixels.channels;
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * pixels.width + left) * pixels.channels;
    values.set(pixels.data.subarray(start, start + row), y * row);
  }
  return values;
}

/**
 * Bicubic, as Pillow does it for 8-bit images: along the rows, then along the columns, in fixed point.
 * @param {Pixels} pixels
 * @param {number} height
 * @param {number} width
 * @returns {Pixels}
 */
export function resizeBicubic(pixels, height, width) {
  const { channels } = pixels;
  let { data } = pixels;
  if (width !== pixels.width) {
    const wide = new Uint8Array(pixels.height * width * channels);
    weights(pixels.width, width).forEach(({ start, factors }, x) => {
      for (let y = 0; y < pixels.height; y++) {
        for (let channel = 0; channel < channels; channel++) {
          const from = (y * pixels.width + start) * channels + channel;
          wide[(y * width + x) * channels + channel] = weighted(data, from, channels, factors);
        }
      }
    });
    data = wide;
  }
  if (height !== pixels.height) {
    const row = width * channels;
    const high = new Uint8Array(height * row);
    weights(pixels.height, height).forEach(({ start, factors }, y) => {
      for (let column = 0; column < row; column++) {
        high[y * row + column] = weighted(data, start * row + column, row, factors);
      }
    });
    data = high;
  }
  return { data, height, width, channels };
}

/** Bits behind the point of a factor. */
const PRECISION = 22;

/**
 * @param {Uint8Array | Uint8ClampedArray} data
 * @param {number} from
 * @param {number} step
 * @param {number[]} factors
 */
function weighted(data, from, step, factors) {
  let sum = 1 << (PRECISION - 1);
  for (let index = 0; index < factors.length; index++) sum += data[from + index * step] * factors[index];
  return Math.min(255, Math.max(0, sum >> PRECISION));
}

/**
 * For each new place: the first old place that counts, and the factors of that one and those after it.
 * @param {number} from
 * @param {number} to
 */
function weights(from, to) {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const reach = 2 * stretch;
  return Array.from({ length: to }, (_, place) => {
    const centre = (place + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const exact = Array.from({ length: end - start }, (_, index) =>
      cubic((index + start - centre + 0.5) * (1 / stretch)),
    );
    const sum = exact.reduce((total, factor) => total + factor, 0);
    const factors = exact.map((factor) => {
      const large = (factor / sum) * (1 << PRECISION);
      return Math.trunc(large < 0 ? large - 0.5 : large + 0.5);
    });
    return { start, factors };
  });
}

/** @param {number} distance */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

/** @param {number} value */
function roundHalfEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
