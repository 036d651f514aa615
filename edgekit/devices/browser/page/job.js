// What the desk asks for, and the bundle's files.

import {parseNpy} from "./npy.js";
import {asType, joined, sizeOf} from "./arrays.js";

/** Where a file of the bundle is, whatever its name holds. */
const bundled = (file) => `bundle/${file.split("/").map(encodeURIComponent).join("/")}`;

async function get(path) {
  let answer;
  try {
    answer = await fetch(path);
  } catch {
    throw new Error("the desk does not answer: is edgekit phone still running, and this device in the same network?");
  }
  if (!answer.ok) throw new Error(`the desk has no ${path} (${answer.status})`);
  return answer;
}

/** The job, as `edgekit/devices/browser/job.py` makes it. */
export async function loadJob() {
  const job = await (await get("job.json")).json();
  if (job.schema_version !== 1) throw new Error("the desk runs another version of edgekit: load the page again");
  return job;
}

/** The bundle's files, each fetched once. */
export class Files {
  #kept = new Map();

  constructor(job) {
    this.job = job;
  }

  /** The bytes of a variant's file. */
  model(variant) {
    return this.#once(variant.file, async () => (await get(bundled(variant.file))).arrayBuffer());
  }

  /** Where workers find a build of LiteRT.js: fetched once, whatever the browser keeps of it itself. */
  wasm(build) {
    return this.#once(`wasm ${build}`, async () => {
      const infix = {default: "", threaded: "threaded_", compat: "compat_"}[build];
      const answer = await get(`runtime/core/wasm/litert_wasm_${infix}internal.wasm`);
      return URL.createObjectURL(await answer.blob());
    });
  }

  /**
   * The check vectors, sample by sample.
   *
   * @returns {Promise<{inputs: TypedArray[][], outputs: TypedArray[][], scales: (Object|null)[]}>} For each sample one
   *   array per input or output, in the signature's order, and what noise in each output is held against.
   */
  checks() {
    const {checks, signature} = this.job;
    return this.#once("checks", async () => ({
      inputs: await this.#samples(signature.inputs, checks.inputs),
      outputs: await this.#samples(signature.outputs, checks.outputs),
      scales: signature.outputs.map((spec) => checks.outputs.find((each) => each.name === spec.name).scale),
    }));
  }

  async #samples(specs, files) {
    const columns = await Promise.all(specs.map(async (spec) => {
      const {file} = files.find((each) => each.name === spec.name);
      const {data} = parseNpy(await (await get(bundled(file))).arrayBuffer());
      const size = sizeOf(spec.shape.slice(1));
      return Array.from({length: this.job.checks.samples}, (_, index) => (
        asType(data.slice(index * size, (index + 1) * size), spec.dtype)
      ));
    }));
    return Array.from({length: this.job.checks.samples}, (_, index) => columns.map((column) => column[index]));
  }

  #once(key, make) {
    if (!this.#kept.has(key)) {
      const made = make();
      this.#kept.set(key, made);
      made.catch(() => this.#kept.delete(key)); // the next try asks again
    }
    return this.#kept.get(key);
  }
}

/**
 * Samples for a file that takes `count` of them per inference, as `grouped` in edgekit/tensors.py: the last group is
 * filled up with its last sample again and again.
 */
export function grouped(samples, count) {
  const groups = [];
  for (let start = 0; start < samples.length; start += count) {
    const group = Array.from({length: count}, (_, index) => samples[Math.min(start + index, samples.length - 1)]);
    groups.push(count === 1 ? group[0] : group[0].map((_, input) => joined(group.map((sample) => sample[input]))));
  }
  return groups;
}

/** The outputs of `count` samples that a file gave at a time, sample by sample. */
export function ungrouped(outputs, count) {
  return Array.from({length: count}, (_, index) => outputs.map((output) => {
    const size = output.length / count;
    return output.slice(index * size, (index + 1) * size);
  }));
}
