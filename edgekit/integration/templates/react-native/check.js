// The check's inputs, then the outputs that the float model gives for them: 32-bit floats, little-endian, as base64.
export const CHECK = '$check';
