// The part of the page where people try the model.

import {answer} from "./answer.js";
import {find, make} from "./elements.js";
import {ImageInput} from "./image_input.js";
import {imageKind, soundLength} from "./preprocess.js";
import {Process} from "./process.js";
import {SoundInput} from "./sound_input.js";
import {ValueInput} from "./value_input.js";

const STEP_MS = 120_000;

export class TryOut {
  #job;
  #environment;
  #files;
  #input;
  #process = null;
  #loaded = null;
  #queue = Promise.resolve();

  constructor(job, environment, files) {
    this.#job = job;
    this.#environment = environment;
    this.#files = files;
    const runnable = job.variants.filter((variant) => variant.batch === 1);
    if (!runnable.length) return;
    const choice = find("variant");
    choice.append(...runnable.map(({name}) => make("option", {value: name, textContent: name})));
    choice.onchange = () => this.#close();
    this.#input = this.#inputFor((inputs) => this.#enqueue(inputs), say);
    find("inputs").append(...this.#input.elements(), this.#example());
    find("try").hidden = false;
  }

  /** Leave the processor to a measurement. */
  async pause() {
    this.#input?.stop();
    await this.#queue;
    this.#close();
    find("try").inert = true;
    say("Not while the phone measures.");
  }

  resume() {
    find("try").inert = false;
    say("");
  }

  #inputFor(run, tell) {
    const {inputs} = this.#job.signature;
    if (inputs.length === 1 && imageKind(inputs[0], this.#job.preprocessing)) return new ImageInput(this.#job, run, tell);
    if (inputs.length === 1 && soundLength(inputs[0])) return new SoundInput(this.#job, run, tell);
    return new ValueInput(this.#job, run, tell);
  }

  /** A button for the bundle's own check samples, one after the other. */
  #example() {
    let next = 0;
    const run = async () => {
      const {inputs} = await this.#files.checks();
      const number = next++ % inputs.length;
      await this.#enqueue(inputs[number]);
      say(`Check sample ${number + 1} of ${inputs.length}.`);
    };
    const button = make("button", {type: "button", textContent: "Example from the bundle", onclick: () => run().catch((error) => say(error.message))});
    return make("div", {className: "row"}, button);
  }

  #enqueue(inputs) {
    this.#queue = this.#queue.then(() => this.#run(inputs)).catch((error) => {
      this.#close();
      say(`The model did not run: ${error.message}`);
    });
    return this.#queue;
  }

  async #run(inputs) {
    const name = find("variant").value;
    if (this.#loaded !== name) await this.#load(this.#job.variants.find((variant) => variant.name === name));
    const {outputs} = await this.#process.ask("run", {inputs}, STEP_MS, "running");
    say("");
    find("answer").replaceChildren(...answer(outputs, this.#job));
    find("answer").hidden = false;
  }

  async #load(variant) {
    this.#close();
    say("Loading the model.");
    const {build, threads} = this.#environment;
    const [file, wasm] = await Promise.all([this.#files.model(variant), this.#files.wasm(build)]);
    this.#process = new Process();
    const folder = new URL("runtime/", document.baseURI).href;
    await this.#process.ask("import", {folder, build, wasm, threads, gpu: false}, STEP_MS, "loading LiteRT.js");
    const model = {file, signature: this.#job.signature, accelerator: "wasm", threads};
    await this.#process.ask("load", model, STEP_MS, "loading the model");
    this.#loaded = variant.name;
  }

  #close() {
    this.#process?.close();
    this.#process = null;
    this.#loaded = null;
  }
}

function say(text) {
  find("try-status").textContent = text;
}
