// PNG and JPEG files as edgekit/runtime/pictures reads them: what the browser is to decode of one, and which way it is turned.
// Profiles, gamma, orientation and later frames are left out, so that no browser's own rules for these count.

/** Larger pictures are refused, here as on the host. */
const MOST_PIXELS = 2 ** 26;
const MOST_SCANS = 100;

const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const JPEG = [0xff, 0xd8, 0xff];
const EXIF = [..."Exif\0\0"].map((letter) => letter.charCodeAt(0));
const JFIF = [..."JFIF\0"].map((letter) => letter.charCodeAt(0));
const ADOBE = [..."Adobe"].map((letter) => letter.charCodeAt(0));
const ENDS_EARLY = "it ends before its picture does: copy it or save it again";
export const DAMAGED = "it is damaged: copy it or save it again";
/** How files of other kinds start, the first that fits; anything else is saved as PNG or JPEG. @type {[RegExp, string][]} */
const KINDS = [
  [/^....ftyp(avi[fs]|m[is]f1.{4}(....)*?avi[fs])/s, "an AVIF picture"],
  [/^....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)/s, "a HEIC picture"],
  [/^(....ftyp|\x1aE\xdf\xa3)/s, "a video"],
  [/^RIFF....WEBP/s, "a WebP picture"],
  [/^GIF8/, "a GIF picture"],
  [/^BM.{12}[\x0c-\x7c]\0\0\0/s, "a BMP picture"],
  [/^(II[*+]\0|MM\0[*+])/, "a TIFF or raw picture"],
  [/^%PDF/, "a PDF document"],
  [/^(\x04?%!|\xc5\xd0\xd3\xc6)/, "a PostScript program"],
  [/^(\xef\xbb\xbf)?\s*<(.*<)?svg\b/s, "an SVG drawing"],
  [/^$/, "empty"],
];

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {{type: string, parts: Bytes[], width: number, height: number, orientation: number}} Alone */

/**
 * The file of a picture and nothing else.
 *
 * @param {Bytes} bytes
 * @returns {Alone}
 * @throws {Error} It is neither PNG nor JPEG, damaged, or too large.
 */
export function pictureAlone(bytes) {
  if (startsAs(bytes, PNG)) return pngAlone(bytes);
  if (startsAs(bytes, JPEG)) return jpegAlone(bytes);
  throw new Error(`it is ${kindOf(bytes)}: save it as PNG or JPEG`);
}

/** @param {Bytes} bytes @param {number[]} start */
function startsAs(bytes, start) {
  return start.every((byte, index) => bytes[index] === byte);
}

/**
 * What a file is that is neither PNG nor JPEG.
 * @param {Bytes} bytes
 */
function kindOf(bytes) {
  const text = String.fromCharCode(...bytes.subarray(0, 1024));
  return KINDS.find(([start]) => start.test(text))?.[1] ?? "neither PNG nor JPEG";
}

/** @param {number} width @param {number} height */
function checkSize(width, height) {
  if (!width || !height) throw new Error("it has no pixels: copy it or save it again");
  if (width * height > MOST_PIXELS) throw new Error(`it has ${width} x ${height} pixels: scale it down first`);
}

/**
 * Which way a picture is turned, 1 to 8, from a TIFF header on; 1 when the bytes do not say it as Exif has it.
 * @param {Bytes} bytes
 */
function orientationOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const little = view.getUint32(0) === 0x49492a00;
    if (!little && view.getUint32(0) !== 0x4d4d002a) return 1;
    const offset = view.getUint32(4, little);
    const entries = view.getUint16(offset, little);
    for (let entry = offset + 2; entry < offset + 2 + 12 * entries; entry += 12) {
      const [tag, kind] = [view.getUint16(entry, little), view.getUint16(entry + 2, little)];
      const [count, value] = [view.getUint32(entry + 4, little), view.getUint16(entry + 8, little)];
      if (tag === 0x0112) return kind === 3 && count === 1 && value >= 1 && value <= 8 ? value : 1;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the bytes end early
  }
  return 1;
}

/**
 * A PNG file of its header, palette, transparent colours and pixels.
 *
 * @param {Bytes} bytes
 * @returns {Alone}
 */
function pngAlone(bytes) {
  const view = new DataView(bytes.buffer);
  /** @type {Record<string, Bytes[]>} */
  const chunks = {IHDR: [], PLTE: [], tRNS: [], IDAT: [], IEND: [], eXIf: []};
  for (let offset = PNG.length, name = ""; name !== "IEND"; ) {
    const end = offset + 12 + (offset + 12 > bytes.length ? 0 : view.getUint32(offset));
    if (end > bytes.length) throw new Error(ENDS_EARLY);
    name = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    if (offset === PNG.length && (name !== "IHDR" || end !== offset + 25)) throw new Error(DAMAGED);
    if (name in chunks) {
      const isWhole = checkSum(bytes.subarray(offset + 4, end - 4)) === view.getUint32(end - 4);
      if (!isWhole && name !== "eXIf") throw new Error(DAMAGED);
      chunks[name].push(bytes.subarray(offset, end));
    }
    offset = end;
  }
  const [width, height, bits, colour] = [view.getUint32(16), view.getUint32(20), bytes[24], bytes[25]];
  if (bytes[26] || bytes[27] || bytes[28] > 1) throw new Error(DAMAGED);
  checkSize(width, height);
  const parts = [Uint8Array.from(PNG), chunks.IHDR[0]];
  if (colour === 3) parts.push(wholePalette(chunks.PLTE.at(-1), 2 ** bits));
  if (colour <= 3) parts.push(...chunks.tRNS.slice(-1));
  let exif = chunks.eXIf.at(-1)?.subarray(8, -4);
  if (exif && startsAs(exif, EXIF)) exif = exif.subarray(EXIF.length);
  const orientation = exif ? orientationOf(exif) : 1;
  return {type: "image/png", parts: [...parts, ...chunks.IDAT, ...chunks.IEND], width, height, orientation};
}

/**
 * A palette's chunk with black for the colours that it does not define: decoders differ in what they show for them.
 *
 * @param {Bytes|undefined} chunk
 * @param {number} colours
 */
function wholePalette(chunk, colours) {
  const size = (chunk?.length ?? 0) - 12;
  if (!chunk || size < 3 || size % 3 || size > 3 * colours || colours > 256) throw new Error(DAMAGED);
  const whole = new Uint8Array(3 * colours + 12);
  const view = new DataView(whole.buffer);
  whole.set(chunk.subarray(0, -4));
  view.setUint32(0, 3 * colours);
  view.setUint32(whole.length - 4, checkSum(whole.subarray(4, -4)));
  return whole;
}

const CHECK_SUMS = Uint32Array.from({length: 256}, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/**
 * CRC-32, as PNG has it.
 * @param {Bytes} bytes
 */
function checkSum(bytes) {
  let sum = -1;
  for (let index = 0; index < bytes.length; index++) sum = CHECK_SUMS[(sum ^ bytes[index]) & 0xff] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/**
 * A JPEG file of its first picture: tables, frame, scans, and what tells how colours are stored.
 *
 * @param {Bytes} bytes
 * @returns {Alone}
 */
function jpegAlone(bytes) {
  const view = new DataView(bytes.buffer);
  const parts = [bytes.subarray(0, 2)];
  let [width, height, orientation, frames, scans] = [0, 0, 0, 0, 0];
  for (let position = 2; ; ) {
    position = afterMarker(bytes, position, (byte) => byte !== 0);
    const marker = bytes[position - 1];
    if (marker === 0xd9) break;
    if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    if (position + 2 > bytes.length) throw new Error(ENDS_EARLY);
    let end = position + view.getUint16(position);
    if (marker === 0xd8 || end < position + 2) throw new Error(DAMAGED);
    if (end > bytes.length) throw new Error(ENDS_EARLY);
    const body = bytes.subarray(position + 2, end);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      if (marker > 0xc2 || body[0] !== 8) throw new Error("it is a JPEG of a rare kind: save it as an ordinary one");
      if (body.length < 6) throw new Error(DAMAGED);
      [width, height] = [view.getUint16(position + 5), view.getUint16(position + 3)];
      checkSize(width, height);
      frames += 1;
    } else if (marker === 0xda) {
      scans += 1;
      // 0xff followed by 0 is a value, and restart markers are part of a scan.
      end = afterMarker(bytes, end, (byte) => byte !== 0 && !(byte >= 0xd0 && byte <= 0xd7)) - 2;
    } else if (marker === 0xe1 && startsAs(body, EXIF)) {
      orientation ||= orientationOf(body.subarray(EXIF.length));
    }
    const isKept = isFrame || [0xc4, 0xda, 0xdb, 0xdd].includes(marker);
    const isColours = (marker === 0xe0 && startsAs(body, JFIF)) || (marker === 0xee && startsAs(body, ADOBE));
    if (isKept || isColours) parts.push(Uint8Array.of(0xff), bytes.subarray(position - 1, end));
    position = end;
  }
  if (frames !== 1 || scans < 1 || scans > MOST_SCANS) throw new Error(DAMAGED);
  parts.push(Uint8Array.of(0xff, 0xd9));
  return {type: "image/jpeg", parts, width, height, orientation: orientation || 1};
}

/**
 * The position behind the next marker: 0xff, once or more, and a byte that is one.
 *
 * @param {Bytes} bytes
 * @param {number} position
 * @param {(byte: number) => boolean} isMarker
 */
function afterMarker(bytes, position, isMarker) {
  for (let found = bytes.indexOf(0xff, position); found >= 0; found = bytes.indexOf(0xff, found + 1)) {
    const byte = bytes[found + 1] ?? 0;
    if (byte !== 0xff && isMarker(byte)) return found + 2;
  }
  throw new Error(ENDS_EARLY);
}
