// Values for the model: typed, pasted, or from a file.

import {asType, sizeOf} from "./arrays.js";
import {make} from "./elements.js";
import {parseNpy} from "./npy.js";
import {preprocess, rawShape} from "./preprocess.js";

/** More values than this are pasted, not typed one by one. */
const MOST_FIELDS = 16;

export class ValueInput {
  #job;
  #run;
  #say;
  #fields = [];

  constructor(job, run, say) {
    this.#job = job;
    this.#run = run;
    this.#say = say;
  }

  elements() {
    this.#fields = this.#job.signature.inputs.map((spec) => new Field(spec, this.#job.preprocessing));
    const button = make("button", {type: "button", textContent: "Run", onclick: () => this.#submit()});
    return [...this.#fields.flatMap((field) => field.elements((text) => this.#say(text))), make("div", {className: "row"}, button)];
  }

  stop() {}

  async #submit() {
    try {
      await this.#run(this.#fields.map((field) => field.tensor()));
    } catch (error) {
      this.#say(error.message);
    }
  }
}

/** The values of one input. */
class Field {
  #spec;
  #steps;
  #shape;
  #boxes = [];
  #text = null;
  #ready = null;

  constructor(spec, steps) {
    this.#spec = spec;
    this.#steps = steps;
    this.#shape = rawShape(spec.shape, steps);
  }

  elements(say) {
    const {name, shape} = this.#spec;
    const size = sizeOf(this.#shape);
    if (size <= MOST_FIELDS) {
      this.#boxes = Array.from({length: size}, () => make("input", {type: "number", step: "any", value: 0}));
      const labels = this.#boxes.map((box, index) => make("label", {className: "field"}, size > 1 ? `${name} ${index}` : name, box));
      return [make("div", {className: "grid"}, ...labels)];
    }
    this.#text = make("textarea", {spellcheck: false, oninput: () => { this.#ready = null; }});
    const file = make("input", {type: "file", accept: ".npy,.csv,.txt", "aria-label": `File for ${name}`});
    file.onchange = () => file.files[0] && this.#read(file.files[0]).catch((error) => say(`${file.files[0].name}: ${error.message}`));
    const what = `${name}: ${size} values (${this.#shape.join(" × ")}), with commas, spaces or lines between them`;
    return [
      make("label", {className: "field"}, what, this.#text),
      make("div", {className: "row"}, make("label", {className: "file"}, `.npy or .csv file for ${name}`, file)),
    ];
  }

  /** What goes into the model. A .npy file of the input's own shape and type goes in as it is. */
  tensor() {
    if (this.#ready) return this.#ready;
    const values = this.#text ? parseNumbers(this.#text.value) : this.#boxes.map((box) => box.valueAsNumber);
    const size = sizeOf(this.#shape);
    if (values.length !== size || values.some(Number.isNaN)) {
      throw new Error(`${this.#spec.name} takes ${size} numbers, here are ${values.filter((value) => !Number.isNaN(value)).length}`);
    }
    return this.#prepared(values);
  }

  #prepared(values) {
    if (!this.#steps) return asType(values, this.#spec.dtype);
    return preprocess({data: values, shape: this.#shape}, this.#steps, this.#spec.shape);
  }

  async #read(file) {
    if (!file.name.endsWith(".npy")) {
      this.#text.value = await file.text();
      this.#ready = null;
      return;
    }
    const {data, shape} = parseNpy(await file.arrayBuffer());
    if (data.length !== sizeOf(this.#shape)) throw new Error(`it holds ${data.length} values, not ${sizeOf(this.#shape)}`);
    const isTensor = String(shape) === String(this.#spec.shape) && data instanceof Float32Array;
    this.#text.value = Array.from(data).join(" ");
    this.#ready = isTensor ? data : this.#prepared(data);
  }
}

const parseNumbers = (text) => text.split(/[\s,;[\]]+/).filter(Boolean).map(Number);
