// One trained model: run it, rank its scores, and test it. How the file is loaded and run is in engine.js.

import { count, largestDifference, prepare, rank, softmax } from './processing.js';
import { loadCheck, loadEngine } from './engine.js';
import { INPUTS, LABELS, OUTPUTS, PREPARATION, SCORES, SCORES_ARE_LOGITS, TOLERANCE } from './spec.js';

/** @typedef {Record<string, Float32Array>} Arrays values by the name of the input or output */

export class Model {
  /** @param {import('./engine.js').Engine} engine */
  constructor(engine) {
    this.engine = engine;
  }

  /** @param {Parameters<typeof loadEngine>} place */
  static async load(...place) {
    return new Model(await loadEngine(...place));
  }

  /**
   * The outputs for raw samples: scaled and normalised here, as in the training.
   * @param {Record<string, ArrayLike<number>>} raw by input name, each channels last
   */
  predict(raw) {
    const inputs = INPUTS.map((input) => [input.name, prepare(named(raw, input.name), input, PREPARATION)]);
    return this.run(Object.fromEntries(inputs));
  }

  /**
   * The outputs for input tensors that are ready.
   * @param {Arrays} inputs
   * @returns {Promise<Arrays>}
   */
  async run(inputs) {
    const outputs = await this.engine.run(INPUTS.map((input) => named(inputs, input.name)));
    return Object.fromEntries(OUTPUTS.map((output, index) => [output.name, outputs[index]]));
  }

  /**
   * The largest scores with their labels.
   * @param {Arrays} outputs
   */
  rank(outputs, most = 5) {
    const scores = outputs[SCORES];
    return rank(SCORES_ARE_LOGITS ? softmax(scores) : scores, LABELS, most);
  }

  /** Runs the check that came with the model; fails when its outputs are not those of the float model. */
  async selfTest() {
    const values = new Float32Array(await loadCheck());
    let start = 0;
    /** @param {import('./processing.js').TensorInfo} info */
    const next = (info) => values.subarray(start, (start += count(info)));
    const inputs = Object.fromEntries(INPUTS.map((input) => [input.name, next(input).slice()]));
    const outputs = await this.run(inputs);
    const difference = Math.max(...OUTPUTS.map((output) => largestDifference(next(output), outputs[output.name])));
    if (!(difference <= TOLERANCE)) throw new Error(`the outputs are ${difference} off, more than ${TOLERANCE}`);
    return difference;
  }
}

/**
 * @template T
 * @param {Record<string, T>} values
 * @param {string} name
 */
function named(values, name) {
  const value = values[name];
  if (value === undefined) throw new Error(`the input ${name} is missing`);
  return value;
}
