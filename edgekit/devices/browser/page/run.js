// One process of one cell, as far as it has come; as `Run` in edgekit/runtime/profiler/block.py.

import {joined, toBase64} from "./arrays.js";
import {grouped, ungrouped} from "./job.js";
import {Process} from "./process.js";

/** What goes before a turn and does not count. */
const DISCARD_MS = 5;
/** The least of rounds, so that processes are compared in more than one. */
const LEAST_ROUNDS = 5;
/** A block that is a little short of time would need another round. */
const MARGIN = 1.02;
/** A step hangs when it takes this many times as long as it is meant to, and 10 s more. */
const HANG_FACTOR = 20;
const HANG_MS = 10_000;
/** Loading has no time that it is meant to take. */
const LOAD_MS = 120_000;

const hang = (expectedMs) => HANG_FACTOR * expectedMs + HANG_MS;

/** In how many rounds each process takes part, at least. */
export function leastRounds({seconds, samples, repeats, round_ms}) {
  return Math.max(LEAST_ROUNDS, Math.ceil(Math.min((seconds * 1000) / round_ms, samples) / repeats));
}

export class Run {
  #site;
  #process = null;
  #facts;
  #hiddenBefore;
  #perSample = 1;
  #typicalMs = 0; // of an inference
  #rounds = [];
  #turns = 0;
  #inferences = 0;
  #takenMs = 0;

  constructor(site, cell, repeat, order) {
    this.cell = cell;
    this.#site = site;
    this.#hiddenBefore = site.watch.hiddenChanges;
    this.#facts = {
      repeat, order, import_ms: null, load_ms: null, first_ms: null, warm_up_calls: 0, warm_up_s: 0, settled: false,
      battery_before: null,
    };
  }

  get #settings() {
    return this.#site.job.settings;
  }

  /** Whether it has its share of rounds, of inferences and of time. */
  get done() {
    const {seconds, samples, repeats} = this.#settings;
    const enough = this.#inferences >= samples / repeats && this.#takenMs >= (seconds * 1000) / repeats;
    return enough && this.#turns >= leastRounds(this.#settings);
  }

  /** From nothing to a settled model. Throws `ProcessFailure`. */
  async start() {
    const {cell} = this;
    const [site, facts] = [this.#site, this.#facts];
    const {variant, accelerator, build, threads} = cell;
    const [file, wasm, checks] = await Promise.all([
      site.files.model(variant), site.files.wasm(build), site.files.checks(),
    ]);
    facts.battery_before = await site.watch.battery();
    await site.watch.visible();
    site.signal.throwIfAborted();
    this.#process = new Process();
    const folder = new URL("runtime/", document.baseURI).href;
    const library = {folder, build, wasm, threads, gpu: accelerator === "webgpu"};
    facts.import_ms = (await this.#ask("import", library, LOAD_MS, "loading LiteRT.js")).import_ms;
    const model = {file, signature: site.job.signature, accelerator, threads};
    const loaded = await this.#ask("load", model, LOAD_MS, "loading the model");
    facts.load_ms = loaded.load_ms;
    cell.fully_accelerated = loaded.fully_accelerated;
    const [inputs] = grouped(checks.inputs.slice(0, 1), variant.batch);
    const first = await this.#ask("first", {inputs}, LOAD_MS, "running its first inference");
    facts.first_ms = first.first_ms;
    facts.outputs = first.outputs.map(toBase64);
    if (!cell.outputs) cell.outputs = await this.#check(checks, first.first_ms);
    await this.#warmUp();
  }

  /** Its part of the round `number` of its block. */
  async takeTurn(number) {
    const rounds = leastRounds(this.#settings);
    const {seconds, samples, repeats} = this.#settings;
    const sampleMs = this.#perSample * this.#typicalMs;
    const dueByTime = Math.round((MARGIN * seconds * 1000) / repeats / rounds / sampleMs);
    const dueByNumber = Math.ceil(samples / repeats / rounds / this.#perSample);
    const turn = {samples: Math.max(1, dueByTime, dueByNumber), per_sample: this.#perSample, discard_ms: DISCARD_MS};
    await this.#site.watch.visible();
    const expectedMs = turn.samples * sampleMs + DISCARD_MS;
    const {elapsed_ms} = await this.#ask("turn", turn, hang(expectedMs), "running");
    while (this.#rounds.length < number) this.#rounds.push(new Float64Array(0));
    this.#rounds.push(elapsed_ms);
    this.#turns += 1;
    this.#inferences += elapsed_ms.length * this.#perSample;
    const sumMs = elapsed_ms.reduce((sum, value) => sum + value, 0);
    this.#takenMs += sumMs * this.#perSample;
    this.#typicalMs = sumMs / elapsed_ms.length; // the mean, since time is what is to be filled
  }

  /** What is posted of it. */
  async record(failure = "") {
    const elapsed = joined([new Float64Array(0), ...this.#rounds]);
    const failed = failure !== "";
    return {
      ...this.#facts,
      outputs: failed ? null : this.#facts.outputs,
      calls_per_sample: this.#perSample,
      elapsed_us: failed ? [] : Array.from(elapsed, (value) => Math.round(value * 1e6) / 1e3),
      round_sizes: failed ? [] : this.#rounds.map((round) => round.length),
      hidden_changes: this.#site.watch.hiddenChanges - this.#hiddenBefore,
      battery_after: await this.#site.watch.battery(),
      failure,
    };
  }

  close() {
    this.#process?.close();
  }

  async #warmUp() {
    const {least_warm_up_s, most_warm_up_s} = this.#settings;
    const limits = {least_ms: least_warm_up_s * 1000, most_ms: most_warm_up_s * 1000};
    const longestMs = Math.max(limits.most_ms, this.#facts.first_ms);
    const warm = await this.#ask("warm_up", limits, hang(longestMs), "warming up");
    this.#facts.warm_up_calls = warm.calls;
    this.#facts.warm_up_s = warm.elapsedMs / 1000;
    this.#facts.settled = warm.settled;
    this.#perSample = warm.perSample;
    this.#typicalMs = warm.typicalMs;
  }

  /** Outputs for every check sample. */
  async #check(checks, firstMs) {
    const {batch} = this.cell.variant;
    const outputs = [];
    for (const inputs of grouped(checks.inputs, batch)) {
      const run = await this.#ask("run", {inputs}, hang(firstMs), "running the check samples");
      outputs.push(...ungrouped(run.outputs, batch));
    }
    return outputs.slice(0, checks.inputs.length);
  }

  #ask(verb, request, mostMs, doing) {
    return this.#process.ask(verb, request, mostMs, doing);
  }
}
