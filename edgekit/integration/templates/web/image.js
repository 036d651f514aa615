// Pictures: picture.js decodes them, processing.js scales and cuts them.

import { readPicture } from './picture.js';
import { fitImage } from './processing.js';

/**
 * The raw values of a PNG or JPEG picture, turned upright.
 * @param {Blob} file
 * @param {import('./processing.js').ImageSize} size
 */
export async function readImage(file, size) {
  const { data, height, width } = await readPicture(file);
  return fitImage(data, height, width, size);
}
