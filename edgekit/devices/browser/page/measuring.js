// A whole measurement: which cells there are, repeat by repeat, and what is posted of them.

import {toBase64} from "./arrays.js";
import {runBlock, START_S} from "./block.js";

/** A cell that failed twice is not tried again; one that failed at the first try was not going to work. */
const MOST_FAILURES = 2;

const PROCESSORS = {wasm: "CPU", webgpu: "GPU"};

/**
 * Every variant on every accelerator that the job asks for.
 *
 * @returns {object[]} Cells: what is posted of each, beside `variant` (the job's), `title` and `processor` for people and `outputs`, the
 *   check outputs as arrays.
 */
export function plan(job, environment) {
  const pairs = job.variants.flatMap((variant) => job.settings.accelerators.map((accelerator) => [variant, accelerator]));
  return pairs.map(([variant, accelerator]) => {
    const gpu = accelerator === "webgpu";
    const reason = gpu ? environment.whyNoGpu : "";
    const {build, threads} = gpu && environment.build === "threaded" ? {build: "default", threads: 1} : environment;
    return {
      variant, accelerator, build: reason ? null : build, threads: reason ? null : threads, fully_accelerated: null,
      status: "not run", reason, processes: [], outputs: null, processor: PROCESSORS[accelerator], title: `${variant.name} on the ${PROCESSORS[accelerator]}`,
    };
  });
}

/**
 * Measure.
 *
 * @param site What all parts of a measurement share: `job`, `environment`, `files`, `watch`, `signal` (which ends it),
 *   `log(text)`, which is told what is going on, and `progress(done)`, which is told how far it is, from 0 to 1.
 * @returns {Promise<{result: object, cells: object[]}>} The result, as it is posted (see
 *   `edgekit/devices/browser/posted.py`), and the cells of `plan`.
 */
export async function measure(site) {
  const {job, environment} = site;
  const {repeats, seconds} = job.settings;
  const started = new Date().toISOString();
  const cells = plan(job, environment);
  const runnable = cells.filter((cell) => !cell.reason);
  const totalS = runnable.length * (repeats * START_S + seconds);
  let doneS = 0;
  const work = (doing) => {
    doneS += doing;
    site.progress(Math.min(1, doneS / totalS));
  };
  await site.watch.hold();
  try {
    for (let repeat = 0; repeat < repeats; repeat++) {
      const due = runnable.filter((cell) => !isHopeless(cell));
      const log = (text) => site.log(`${text} (repeat ${repeat + 1} of ${repeats})`);
      const records = due.length ? await runBlock({...site, log, work}, due, repeat) : new Map();
      for (const [cell, record] of records) {
        cell.processes.push(record);
        judge(cell);
      }
    }
  } finally {
    site.watch.release();
  }
  site.progress(1);
  const result = {
    schema_version: 1,
    run: site.run,
    bundle_sha256: job.bundle.sha256,
    started,
    browser: environment.browser,
    connection: environment.connection,
    why_threads: environment.whyThreads,
    cells: cells.map(posted),
  };
  return {result, cells};
}

function isHopeless(cell) {
  const failures = cell.processes.filter((process) => process.failure);
  return failures.length >= MOST_FAILURES || failures.length === 1 && cell.processes.length === 1;
}

function judge(cell) {
  const whole = cell.processes.some((process) => !process.failure);
  cell.status = whole ? "measured" : "failed";
  cell.reason = whole ? "" : cell.processes[0].failure;
}

function posted({variant, accelerator, build, threads, fully_accelerated, status, reason, processes, outputs}) {
  const check_outputs = outputs && outputs.map((sample) => sample.map(toBase64));
  return {
    variant: variant.name, accelerator, build, threads, fully_accelerated, status, reason, check_outputs, processes,
  };
}

/** Sixteen hexadecimal digits by which the desk knows one measurement from another. */
export function newRun() {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
