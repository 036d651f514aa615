// react-native-fast-tflite: loads model.tflite from the app and runs it on the CPU.

import { loadTensorflowModel } from 'react-native-fast-tflite';
import { CHECK } from './check.js';

/** @typedef {{run(inputs: Float32Array[]): Promise<Float32Array[]>}} Engine */

/** @returns {Promise<Engine>} */
export async function loadEngine() {
  const model = await loadTensorflowModel(require('./model.tflite'), []);
  return {
    async run(inputs) {
      // Each array in a buffer of its own: one that is part of a larger buffer would be sent with all of it.
      const outputs = await model.run(inputs.map((values) => new Float32Array(values).buffer));
      return outputs.map((buffer) => new Float32Array(buffer));
    },
  };
}

/** The check's inputs, then the outputs that the float model gives for them. */
export async function loadCheck() {
  return Uint8Array.from(atob(CHECK), (character) => character.charCodeAt(0)).buffer;
}
