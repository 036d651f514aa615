// From raw samples to input tensors, and from output tensors to labels. Runs anywhere.
// The arithmetic is that of the training: 32-bit floats, and Pillow's bicubic resizing to the last bit.

import { bicubic, roundHalfEven } from './bicubic.js';

/** @typedef {{name: string, shape: number[]}} TensorInfo */
/** @typedef {{scale: number, mean: number[], std: number[], channelsFirst: boolean}} Preparation */
/** @typedef {{height: number, width: number, channels: number, resize: boolean, crop: number}} ImageSize */
/** @typedef {import('./bicubic.js').Pixels} Pixels */
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
    pixels = bicubic(
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
