// From a raw sample to a model's input; the arithmetic of edgekit/runtime/preprocess.py, value by value.

import {sizeOf} from "./arrays.js";
import {bicubic, roundHalfEven} from "./bicubic.js";

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
  const channels = image.shape[2];
  const {data} = bicubic({data: image.data, height: ownHeight, width: ownWidth, channels}, newHeight, newWidth);
  const [top, left] = [(newHeight - height) >> 1, (newWidth - width) >> 1];
  const part = new Uint8Array(height * width * channels);
  for (let row = 0; row < height; row++) {
    const start = ((top + row) * newWidth + left) * channels;
    part.set(data.subarray(start, start + width * channels), row * width * channels);
  }
  return {data: part, shape: [height, width, channels]};
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
