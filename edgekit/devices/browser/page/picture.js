// Pixels of pictures, the same as on the host: see edgekit/runtime/pictures.

import {DAMAGED, pictureAlone} from "./picture_file.js";

/** Of the canvas that pixels are read through, on each side: phones have no larger ones. */
const TILE = 2048;
const TRANSPARENT =
  "it is transparent in places, which show what lies behind them: save it on the background that the model knows";

/**
 * The pixels of a PNG or JPEG file: upright and opaque, four bytes each, row by row.
 *
 * @param {Blob} file
 * @returns {Promise<{data: Uint8ClampedArray, width: number, height: number}>}
 * @throws {Error} It is neither, damaged, too large, or transparent in places.
 */
export async function readPicture(file) {
  const alone = pictureAlone(new Uint8Array(await file.arrayBuffer()));
  const bitmap = await createImageBitmap(new Blob(alone.parts, {type: alone.type})).catch(() => null);
  if (bitmap?.width !== alone.width || bitmap.height !== alone.height) throw new Error(DAMAGED);
  try {
    return upright(bitmap, alone.orientation);
  } finally {
    bitmap.close();
  }
}

/**
 * @param {ImageBitmap} bitmap
 * @param {number} orientation
 */
function upright(bitmap, orientation) {
  const swapped = orientation > 4;
  const [width, height] = swapped ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];
  // Where the first stored pixel goes, and the steps from it along a stored row and down a stored column.
  const right = [2, 3, 6, 7].includes(orientation);
  const below = [3, 4, 7, 8].includes(orientation);
  const first = (right ? width - 1 : 0) + (below ? (height - 1) * width : 0);
  const across = right ? -1 : 1;
  const down = below ? -width : width;
  const [alongRow, alongColumn] = swapped ? [down, across] : [across, down];

  const pixels = new Uint32Array(width * height); // alpha in the highest byte: no browser's machine is big-endian
  let all = -1;
  const canvas = document.createElement("canvas");
  canvas.width = Math.min(TILE, bitmap.width);
  canvas.height = Math.min(TILE, bitmap.height);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  if (context === null) throw new Error("this browser cannot draw pictures");
  for (let top = 0; top < bitmap.height; top += TILE) {
    for (let left = 0; left < bitmap.width; left += TILE) {
      const [columns, rows] = [Math.min(TILE, bitmap.width - left), Math.min(TILE, bitmap.height - top)];
      context.clearRect(0, 0, columns, rows);
      context.drawImage(bitmap, -left, -top);
      const tile = new Uint32Array(context.getImageData(0, 0, columns, rows).data.buffer);
      for (let row = 0; row < rows; row++) {
        const start = first + (top + row) * alongColumn + left * alongRow;
        for (let column = 0; column < columns; column++) {
          const pixel = tile[row * columns + column];
          pixels[start + column * alongRow] = pixel;
          all &= pixel;
        }
      }
    }
  }
  if (all >>> 24 !== 255) throw new Error(TRANSPARENT);
  return {data: new Uint8ClampedArray(pixels.buffer), width, height};
}
