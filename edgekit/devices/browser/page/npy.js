// Arrays in numpy's file format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

const KINDS = {
  "f4": Float32Array, "f8": Float64Array, "i1": Int8Array, "u1": Uint8Array, "b1": Uint8Array, "i2": Int16Array,
  "u2": Uint16Array, "i4": Int32Array, "u4": Uint32Array, "i8": BigInt64Array, "u8": BigUint64Array,
};

/**
 * The array in the bytes of a .npy file.
 *
 * @param {ArrayBuffer} buffer
 * @returns {{shape: number[], data: TypedArray}} 64-bit integers come as float64, which holds them up to 2^53.
 * @throws {Error} It is no such file, or holds something else than numbers in C order and little-endian.
 */
export function parseNpy(buffer) {
  const bytes = new Uint8Array(buffer);
  if (String.fromCharCode(...bytes.subarray(1, 6)) !== "NUMPY" || bytes[0] !== 0x93) {
    throw new Error("this is no .npy file");
  }
  const view = new DataView(buffer);
  const [start, length] = bytes[6] === 1 ? [10, view.getUint16(8, true)] : [12, view.getUint32(8, true)];
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const kind = /'descr': '[<|=]([fiub]\d)'/.exec(header)?.[1];
  const shape = /'shape': \(([^)]*)\)/.exec(header)?.[1].split(",").filter((part) => part.trim()).map(Number);
  if (!KINDS[kind] || !shape || !/'fortran_order': False/.test(header)) {
    throw new Error("the .npy file holds no plain numbers in C order");
  }
  const count = shape.reduce((product, size) => product * size, 1);
  const stored = buffer.slice(start + length, start + length + count * KINDS[kind].BYTES_PER_ELEMENT);
  if (stored.byteLength < count * KINDS[kind].BYTES_PER_ELEMENT) throw new Error("the .npy file is cut off");
  const data = new KINDS[kind](stored);
  return {shape, data: typeof data[0] === "bigint" ? Float64Array.from(data, Number) : data};
}
