// LiteRT.js: loads model.tflite and runs it on the CPU, in WebAssembly.

import { loadAndCompile, loadLiteRt, Tensor } from '@litertjs/core';
import { INPUTS, OUTPUTS } from './spec.js';

/** @typedef {{run(inputs: Float32Array[]): Promise<Float32Array[]>}} Engine */

const WASM = new URL('./node_modules/@litertjs/core/wasm/', import.meta.url).href;

/** @returns {Promise<Engine>} */
export async function loadEngine() {
  await loadLiteRt(WASM);
  // Without the accelerator named, a browser with WebGPU would take that, and round otherwise.
  const compiled = await loadAndCompile(new URL('./model.tflite', import.meta.url).href, { accelerator: 'wasm' });
  const places = compiled.getOutputDetails().length;
  if (places !== OUTPUTS.length) throw new Error(`the file has ${places} outputs, not ${OUTPUTS.length}`);
  return {
    async run(inputs) {
      const given = inputs.map((values, index) => new Tensor(values, INPUTS[index].shape));
      /** @type {Tensor[]} */
      let outputs = [];
      try {
        outputs = await compiled.run(given);
        const values = await Promise.all(outputs.map((output) => output.data()));
        return values.map((value) => Float32Array.from(value));
      } finally {
        // WebAssembly's memory is not collected by itself.
        for (const tensor of [...given, ...outputs]) tensor.delete();
      }
    },
  };
}

/** The check's inputs, then the outputs that the float model gives for them. */
export async function loadCheck() {
  const answer = await fetch(new URL('./check.bin', import.meta.url));
  if (!answer.ok) throw new Error(`check.bin: ${answer.status}`);
  return answer.arrayBuffer();
}
