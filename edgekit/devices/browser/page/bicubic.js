// Scaling of pictures. Imports nothing: the page for phones and the starters for apps have this same file.

/** @typedef {{data: Uint8Array | Uint8ClampedArray, height: number, width: number, channels: number}} Pixels */

/**
 * As Pillow's `resize` with BICUBIC for 8-bit images: along the rows, then along the columns, in fixed point
 * (https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c, MIT-CMU), so that desktop and phone give
 * a model the same pixels.
 * @param {Pixels} pixels
 * @param {number} height
 * @param {number} width
 * @returns {Pixels}
 */
export function bicubic(pixels, height, width) {
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
 * For each new position: the first old position that counts, and the factors of that one and those after it.
 * @param {number} from
 * @param {number} to
 */
function weights(from, to) {
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const reach = 2 * stretch;
  return Array.from({ length: to }, (_, position) => {
    const centre = (position + 0.5) * scale;
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

/**
 * R. Keys's kernel with a = -0.5: https://doi.org/10.1109/TASSP.1981.1163711
 * @param {number} distance
 */
function cubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

/**
 * Python's `round`.
 * @param {number} value
 */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
