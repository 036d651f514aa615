// From a raw sample to a model's input; the arithmetic of edgekit/runtime/preprocess.py, value by value.

import {sizeOf} from "./arrays.js";

/**
 * The input tensor of one raw sample.
 *
 * @param {{data: TypedArray, shape: number[]}} sample Without a batch axis: an image (height, width[, channels]), a
 *   series (time, channels), or anything else.
 * @param {object|null} steps The bundle's preprocessing; null for none.
 * @param {number[]} shape Of the input, with its batch axis.
 * @returns {Float32Array}
 * @throws {Error} It does not fit.
 */
export function preprocess(sample, steps, shape) {
  let {data, shape: own} = sample;
  const {scale = 1, mean = [], std = [], layout = null} = steps ?? {};
  if (own.length === shape.length - 2) own = [...own, 1];
  const values = Float32Array.from(data);
  const channels = own.at(-1) ?? 1;
  for (const list of [mean, std]) {
    if (list.length > 1 && list.length !== channels) throw new Error(`the sample does not have ${list.length} channels last`);
  }
  const at = (list, index) => Math.fround(list[list.length === 1 ? 0 : index % channels]);
  // Each step in float32, as numpy does it.
  const factor = Math.fround(scale);
  for (let index = 0; index < values.length; index++) {
    if (scale !== 1) values[index] *= factor;
    if (mean.length) values[index] -= at(mean, index);
    if (std.length) values[index] /= at(std, index);
  }
  const isMoved = layout === "channels-first" && own.length > 1;
  const given = isMoved ? [own.at(-1), ...own.slice(0, -1)] : own;
  if (String(given) !== String(shape.slice(1))) {
    throw new Error(`the sample became ${given.join(" x ")} values, the model takes ${shape.slice(1).join(" x ")}`);
  }
  return isMoved ? channelsFirst(values, own.at(-1)) : values;
}

/** The shape of a raw sample for an input of `shape`, batch axis left out. */
export function rawShape(shape, steps) {
  const inner = shape.slice(1);
  return steps?.layout === "channels-first" && inner.length > 1 ? [...inner.slice(1), inner[0]] : inner;
}

function channelsFirst(values, channels) {
  const moved = new Float32Array(values.length);
  const size = values.length / channels;
  for (let index = 0; index < values.length; index++) {
    moved[(index % channels) * size + Math.floor(index / channels)] = values[index];
  }
  return moved;
}

/**
 * Scale an image until it covers height/crop x width/crop pixels, and cut out its centre.
 *
 * @param {{data: Uint8Array, shape: number[]}} image (height, width, channels).
 * @param {{height: number, width: number, crop?: number}} size
 */
export function resized(image, {height, width, crop = 1}) {
  const [ownHeight, ownWidth] = image.shape;
  const factor = Math.max(height / crop / ownHeight, width / crop / ownWidth);
  const newHeight = Math.max(height, roundHalfEven(ownHeight * factor));
  const newWidth = Math.max(width, roundHalfEven(ownWidth * factor));
  const scaled = bicubic(image, newHeight, newWidth);
  return cut(scaled, (newHeight - height) >> 1, (newWidth - width) >> 1, height, width);
}

function cut({data, shape: [, own, channels]}, top, left, height, width) {
  const part = new Uint8Array(height * width * channels);
  for (let row = 0; row < height; row++) {
    const start = ((top + row) * own + left) * channels;
    part.set(data.subarray(start, start + width * channels), row * width * channels);
  }
  return {data: part, shape: [height, width, channels]};
}

/** Python's `round`. */
function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest === 0.5 ? below + (below % 2) : Math.round(value);
}

/** Bits of Pillow's fixed-point weights: 32, less 8 of a pixel and 2 for sums beyond it. */
const PRECISION_BITS = 22;
const ONE = 2 ** PRECISION_BITS;
const SUPPORT = 2;

/**
 * As Pillow's `resize` with BICUBIC: https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
 * (MIT-CMU), whose integer arithmetic this repeats, so that host and phone give a model the same pixels.
 */
export function bicubic(image, height, width) {
  let {data, shape: [ownHeight, ownWidth, channels]} = image;
  if (ownWidth !== width) {
    data = pass(data, weights(ownWidth, width), {lines: ownHeight, line: ownWidth * channels, step: channels, channels, newLine: width * channels});
  }
  if (ownHeight !== height) {
    data = pass(data, weights(ownHeight, height), {lines: width * channels, line: 1, step: width * channels, channels: 1, newLine: 1});
  }
  return {data, shape: [height, width, channels]};
}

/** Weighted sums along lines of pixels: rows of an image, or columns, whose values are `step` apart. */
function pass(data, table, {lines, line, step, channels, newLine}) {
  const result = new Uint8Array(channels === 1 && line === 1 ? table.length * step : lines * newLine);
  for (let number = 0; number < lines; number++) {
    table.forEach(({first, factors}, place) => {
      for (let channel = 0; channel < channels; channel++) {
        let sum = ONE / 2;
        for (let index = 0; index < factors.length; index++) {
          sum += data[number * line + (first + index) * step + channel] * factors[index];
        }
        result[number * newLine + place * step + channel] = Math.max(0, Math.min(255, Math.floor(sum / ONE)));
      }
    });
  }
  return result;
}

/** For each of `to` pixels: the first of `from` pixels that it is made of, and their whole-number factors. */
function weights(from, to) {
  const scale = from / to;
  const wide = Math.max(1, scale);
  return Array.from({length: to}, (_, place) => {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - SUPPORT * wide + 0.5));
    const last = Math.min(from, Math.trunc(centre + SUPPORT * wide + 0.5));
    const values = Array.from({length: last - first}, (_, index) => cubic((index + first - centre + 0.5) / wide));
    const sum = values.reduce((total, value) => total + value, 0);
    return {first, factors: values.map((value) => Math.trunc((value / sum) * ONE + (value < 0 ? -0.5 : 0.5)))};
  });
}

/** R. Keys's kernel with a = -0.5: https://doi.org/10.1109/TASSP.1981.1163711 */
function cubic(value) {
  const x = Math.abs(value);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

/** Values of a picture's pixels, RGBA, as the model's: (height, width, 1 or 3). Grey as Pillow's "L". */
export function pixels({data, width, height}, channels) {
  const values = new Uint8Array(width * height * channels);
  for (let index = 0; index < width * height; index++) {
    const [red, green, blue] = [data[4 * index], data[4 * index + 1], data[4 * index + 2]];
    if (channels === 1) values[index] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
    else values.set([red, green, blue], 3 * index);
  }
  return {data: values, shape: [height, width, channels]};
}

/** Whether an input is an image, and of what kind: null, or its size, channels and whether they come first. */
export function imageKind(spec, steps) {
  if (spec.shape.length !== 4) return null;
  const first = spec.shape[1] === 1 || spec.shape[1] === 3;
  const last = spec.shape[3] === 1 || spec.shape[3] === 3;
  if (!first && !last) return null;
  const channelsFirst = steps?.layout ? steps.layout === "channels-first" : first && !last;
  const [channels, height, width] = channelsFirst ? spec.shape.slice(1) : [spec.shape[3], spec.shape[1], spec.shape[2]];
  return channels === 1 || channels === 3 ? {channels, height, width, channelsFirst} : null;
}

/** Fewer values than this are no sound. */
const LEAST_SOUND = 4000;

/** How many values an input takes when it is a waveform, else 0: all its axes but one have size 1, and that is long. */
export function soundLength(spec) {
  const size = sizeOf(spec.shape);
  return Math.max(...spec.shape, 0) === size && size >= LEAST_SOUND ? size : 0;
}
