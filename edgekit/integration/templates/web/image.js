// Pictures: the browser decodes them, processing.js scales and cuts them.

import { fitImage } from './processing.js';

/**
 * The raw values of a picture that the browser can read.
 * @param {Blob} file
 * @param {import('./processing.js').ImageSize} size
 */
export async function readImage(file, size) {
  const picture = await createImageBitmap(file, { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const canvas = document.createElement('canvas');
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (context === null) throw new Error('this browser cannot draw pictures');
  context.drawImage(picture, 0, 0);
  const { data, height, width } = context.getImageData(0, 0, picture.width, picture.height);
  return fitImage(data, height, width, size);
}
