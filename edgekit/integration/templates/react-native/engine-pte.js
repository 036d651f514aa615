// react-native-executorch: loads model.pte and runs it where it was built for.

import { download, loadModel, tensor, wrapAsync } from 'react-native-executorch';
import { CHECK } from './check.js';
import { count } from './processing.js';
import { INPUTS, OUTPUTS } from './spec.js';

/** @typedef {{run(inputs: Float32Array[]): Promise<Float32Array[]>}} Engine */

/**
 * @param {string} source the address of model.pte, or its path on the phone
 * @returns {Promise<Engine>}
 */
export async function loadEngine(source) {
  const model = await wrapAsync(loadModel)(await download(source));
  return {
    async run(inputs) {
      const given = inputs.map((values, index) => tensor('float32', INPUTS[index].shape, values));
      const outputs = OUTPUTS.map((output) => tensor('float32', output.shape));
      try {
        model.execute('forward', given, outputs);
        return outputs.map((output, index) => output.getData(new Float32Array(count(OUTPUTS[index]))));
      } finally {
        // Native memory is not collected by itself.
        for (const each of [...given, ...outputs]) each.dispose();
      }
    },
  };
}

/** The check's inputs, then the outputs that the float model gives for them. */
export async function loadCheck() {
  return Uint8Array.from(atob(CHECK), (character) => character.charCodeAt(0)).buffer;
}
