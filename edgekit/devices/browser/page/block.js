// One repeat: a fresh process for each cell, and rounds in which they take turns; as edgekit/runtime/profiler/block.py.

import {ProcessFailure} from "./process.js";
import {shuffled} from "./random.js";
import {leastRounds, Run} from "./run.js";

/** About how long it takes from nothing to a settled model. */
export const START_S = 2.5;
/** What LiteRT.js takes, about; and a model, of its file's size. */
const RUNTIME_BYTES = 64 << 20;
const MODEL_FACTOR = 4;
/** Of the device's memory, what the page may take; and where the browser does not tell how much there is. */
const MEMORY_SHARE = 0.25;
const USUAL_MEMORY_GIB = 2;

/**
 * Measure each of `cells` in a worker of its own.
 *
 * Workers are started one at a time, in an order that is drawn anew for each repeat, and then take turns. Where they do
 * not all fit into memory, they are measured in several groups, beside the first of `cells` in each.
 *
 * @returns {Promise<Map<object, object>>} What is posted of each process, by cell.
 */
export async function runBlock(site, cells, repeat) {
  const block = new Block(site, repeat);
  const stop = () => block.close();
  site.signal.addEventListener("abort", stop);
  try {
    const order = shuffled(cells, `${site.job.settings.seed}/${repeat}/start`);
    const crowded = sum(cells.map(needs)) > room(site);
    if (crowded) order.sort((one, other) => (other === cells[0]) - (one === cells[0]));
    for (const cell of order) await block.add(cell, cell === cells[0]);
    await block.measure();
    await block.end();
    return block.records;
  } finally {
    site.signal.removeEventListener("abort", stop);
    block.close();
  }
}

const sum = (values) => values.reduce((total, value) => total + value, 0);
const needs = (cell) => RUNTIME_BYTES + MODEL_FACTOR * cell.variant.size_bytes;

function room(site) {
  return (site.environment.browser.memory_gib ?? USUAL_MEMORY_GIB) * MEMORY_SHARE * 2 ** 30;
}

class Block {
  records = new Map();
  #site;
  #repeat;
  #started = 0;
  #runs = [];
  #reference = null;
  #number = 0;

  constructor(site, repeat) {
    this.#site = site;
    this.#repeat = repeat;
  }

  async add(cell, isReference) {
    const taken = sum(this.#runs.map((run) => needs(run.cell)));
    if (taken + needs(cell) > room(this.#site) && this.#runs.some((run) => run !== this.#reference)) {
      await this.measure();
      await this.end(this.#reference);
    }
    const run = new Run(this.#site, cell, this.#repeat, this.#started++);
    this.#runs.push(run);
    this.#site.log(`${cell.title}: loading`);
    if ((await this.#try(run, () => run.start())) && isReference) this.#reference = run;
    this.#site.work(START_S);
  }

  /** Rounds, until each process has its share; none leaves before, which would make the others' last rounds quieter. */
  async measure() {
    const {seed, seconds, repeats} = this.#site.job.settings;
    const turnS = seconds / repeats / leastRounds(this.#site.job.settings);
    while (this.#runs.some((run) => !run.done)) {
      for (const run of shuffled(this.#runs, `${seed}/${this.#repeat}/${this.#number}`)) {
        this.#site.log(`${run.cell.title}: measuring`);
        const isNew = !run.done;
        await this.#try(run, () => run.takeTurn(this.#number));
        if (isNew) this.#site.work(turnS);
      }
      this.#number += 1;
    }
  }

  /** Finish all processes of the group, except one that stays for the next. */
  async end(but = null) {
    for (const run of this.#runs.filter((each) => each !== but)) {
      this.records.set(run.cell, await run.record());
      run.close();
    }
    this.#runs = this.#runs.filter((each) => each === but);
  }

  close() {
    for (const run of this.#runs) run.close();
  }

  /** Whether `run` is still there after `step`. */
  async #try(run, step) {
    this.#site.signal.throwIfAborted();
    try {
      await step();
      return true;
    } catch (error) {
      this.#site.signal.throwIfAborted();
      if (!(error instanceof ProcessFailure)) throw error;
      this.records.set(run.cell, await run.record(error.message));
      run.close();
      this.#runs = this.#runs.filter((other) => other !== run);
      if (this.#reference === run) this.#reference = null;
      return false;
    }
  }
}
