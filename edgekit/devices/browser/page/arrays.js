// Numbers on their way: shapes, element types, base64.

const TYPES = {float32: Float32Array, int32: Int32Array, uint8: Uint8Array};

export const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** The numbers as an array of an element type that LiteRT.js knows: float32, int32 or uint8. */
export function asType(data, dtype) {
  const kind = TYPES[dtype];
  if (!kind) throw new Error(`LiteRT.js has no tensors of ${dtype}`);
  return data instanceof kind ? data : kind.from(data);
}

/** Several arrays of one type, one after the other. */
export function joined(arrays) {
  const all = new arrays[0].constructor(arrays.reduce((sum, array) => sum + array.length, 0));
  let offset = 0;
  for (const array of arrays) {
    all.set(array, offset);
    offset += array.length;
  }
  return all;
}

/** Base64 of little-endian float32; every browser's machine is little-endian. */
export function toBase64(floats) {
  const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  let text = "";
  for (let start = 0; start < bytes.length; start += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(text);
}
