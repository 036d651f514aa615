// The worker that is measured: takes one model through the phases, at the page's word. A classic script: LiteRT.js
// loads its own parts by importScripts, which modules do not have.
"use strict";

/** One model, further along with every request. */
const measured = {
  log: [],

  /** LiteRT.js itself; `wasm` is the address of its WebAssembly, which the page has fetched already. */
  async import({folder, build, wasm, threads, gpu}) {
    [this.inference, this.phases, this.arrays] = await Promise.all([
      import("./inference.js"), import("./phases.js"), import("./arrays.js"),
    ]);
    const before = performance.now();
    const script = `${folder}core/wasm/litert_wasm_${{default: "", threaded: "threaded_", compat: "compat_"}[build]}internal.js`;
    self.Module = {locateFile: (name) => (name.endsWith(".wasm") ? wasm : new URL(name, script).href)};
    self.Module.mainScriptUrlOrBlob = script; // for its threads; it would take this very file
    self.Module.printErr = (line) => this.log.push(line); // all that LiteRT.js logs, most of it no error
    // LiteRT.js 2.5.3 (threaded) starts as many workers as there are cores, whatever it is asked for.
    if (build === "threaded") Object.defineProperty(navigator, "hardwareConcurrency", {value: threads});
    // LiteRT.js 2.5.3 opens a GPU for every environment, even for what runs on the CPU.
    if (!gpu) Object.defineProperty(navigator, "gpu", {value: undefined});
    this.litert = await import(`${folder}core/dist/index.js`);
    await this.litert.loadLiteRt(script);
    const import_ms = performance.now() - before;
    this.stepMs = this.phases.timerStepMs();
    return {import_ms};
  },

  async load({file, signature, accelerator, threads}) {
    const before = performance.now();
    const options = {accelerator, cpuOptions: {numThreads: threads}};
    const compiled = await this.litert.loadAndCompile(new Uint8Array(file), options);
    const load_ms = performance.now() - before;
    // LiteRT.js 2.5.3 falls back to the CPU without a word where a GPU does not take the whole model.
    if (compiled.options.accelerator !== accelerator) {
      throw new Error("LiteRT.js cannot run all of this model on the GPU here, and would run it on the CPU instead");
    }
    this.runner = this.inference.signatureOf(compiled);
    this.details = this.runner.getInputDetails();
    this.inward = this.inference.locate(signature.inputs, this.details);
    this.outward = this.inference.locate(signature.outputs, this.runner.getOutputDetails());
    return {load_ms, fully_accelerated: compiled.isFullyAccelerated};
  },

  /** The first inference; all that are timed have the same inputs. */
  async first({inputs}) {
    const placed = this.place(inputs);
    this.call = () => this.inference.infer(this.runner, this.litert.Tensor, placed);
    const before = performance.now();
    const outputs = await this.call();
    return {first_ms: performance.now() - before, outputs: this.read(outputs)};
  },

  async warm_up({least_ms, most_ms}) {
    const done = await this.phases.warmUp(this.call, {leastMs: least_ms, mostMs: most_ms, stepMs: this.stepMs});
    return {...done, perSample: this.phases.callsPerSample(done.fastestMs, this.stepMs)};
  },

  async turn({samples, per_sample, discard_ms}) {
    const turn = {samples, perSample: per_sample, discardMs: discard_ms};
    return {elapsed_ms: Float64Array.from(await this.phases.takeTurn(this.call, turn))};
  },

  /** Outputs for inputs that are not timed. */
  async run({inputs}) {
    return {outputs: this.read(await this.inference.infer(this.runner, this.litert.Tensor, this.place(inputs)))};
  },

  /** Arrays in the bundle's order, in the file's order and element types. */
  place(inputs) {
    const placed = [];
    this.inward.forEach((position, index) => {
      const {shape, dtype} = this.details[position];
      placed[position] = {data: this.arrays.asType(inputs[index], dtype), shape: Array.from(shape)};
    });
    return placed;
  },

  /** Outputs in the bundle's order, as float32. */
  read(outputs) {
    return this.outward.map((position) => Float32Array.from(outputs[position]));
  },
};

/** What went wrong, in one line, with the last that LiteRT.js had to say of it. */
function describe(error) {
  const said = measured.log.filter((line) => line.startsWith("ERROR")).slice(-1);
  const lines = [String(error?.message ?? error) || "no reason given", ...said];
  return lines.join("; ").replace(/\s+/g, " ").slice(0, 300);
}

self.onmessage = async ({data: {id, verb, ...request}}) => {
  try {
    self.postMessage({id, answer: await measured[verb](request)});
  } catch (error) {
    self.postMessage({id, failure: describe(error)});
  }
};
self.onunhandledrejection = ({reason}) => self.postMessage({failure: describe(reason)});
