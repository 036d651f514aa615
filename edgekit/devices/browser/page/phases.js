// The phases of a measurement, each on a function that runs the model once; as in edgekit/runtime/profiler/phases.py.

import {median} from "./statistics.js";

/** A trend smaller than this over the last windows of a warm-up is none. */
const SETTLED_SHARE = 0.02;
const WINDOWS = 6;
/** Where an inference takes seconds, a warm-up's time limit holds too few of them. */
const LEAST_CALLS = 8;
/** What is timed takes at least so many steps of the clock: it is then right to 1 %. */
const LEAST_STEPS = 100;

const now = () => performance.now();

/** The smallest step that the clock takes, in milliseconds: browsers make it coarse, from 5 us to some ms. */
export function timerStepMs(clock = now) {
  const begun = clock();
  let last = begun;
  let smallest = Infinity;
  for (let steps = 0; steps < 50 && (steps === 0 || last - begun < 50);) {
    const at = clock();
    if (at === last) continue;
    smallest = Math.min(smallest, at - last);
    last = at;
    steps += 1;
  }
  return Math.round(smallest * 1e6) / 1e6;
}

/** How many inferences are timed together, so that the clock's step does not show. */
export function callsPerSample(typicalMs, stepMs) {
  return Math.max(1, Math.ceil((LEAST_STEPS * stepMs) / typicalMs));
}

/** The mean duration of `calls` inferences in a row, in milliseconds. */
async function span(call, calls, clock) {
  const before = clock();
  for (let index = 0; index < calls; index++) await call();
  return (clock() - before) / calls;
}

/**
 * Call until `leastMs` have gone by and durations have settled, or until `mostMs` and a few inferences have gone by.
 *
 * Durations come in windows of a sixth of `leastMs`, at least one span each. They have settled when the trend of the
 * medians of the last six windows adds up to less than 2 %.
 *
 * @returns {Promise<{calls: number, elapsedMs: number, settled: boolean, typicalMs: number, fastestMs: number}>} The
 *   median and the least duration of an inference over the last windows.
 */
export async function warmUp(call, {leastMs, mostMs, stepMs, clock = now}) {
  const windows = [];
  const began = clock();
  const firstMs = Math.max(await span(call, 1, clock), stepMs);
  const limitMs = Math.max(mostMs, LEAST_CALLS * firstMs);
  let perSpan = callsPerSample(firstMs, stepMs); // a first guess
  let window = [];
  let windowBegan = clock();
  let calls = 1;
  for (;;) {
    window.push(await span(call, perSpan, clock));
    calls += perSpan;
    const at = clock();
    const windowMs = at - windowBegan;
    if (windowMs < leastMs / WINDOWS) continue;
    // Wasm code becomes faster while the browser optimizes it, and the clock's steps would show.
    perSpan = callsPerSample(windowMs / (window.length * perSpan), stepMs);
    windows.push(window);
    window = [];
    windowBegan = at;
    const settled = at - began >= leastMs && hasSettled(windows.slice(-WINDOWS).map(median));
    if (settled || at - began >= limitMs) {
      const last = windows.slice(-WINDOWS).flat();
      return {calls, elapsedMs: at - began, settled, typicalMs: median(last), fastestMs: Math.min(...last)};
    }
  }
}

/**
 * Whether six values in a row have no trend worth mentioning.
 *
 * The trend is the median of the slopes between all pairs, which a few disturbed windows do not move (Theil 1950,
 * https://doi.org/10.1007/978-94-011-2546-8_20).
 */
export function hasSettled(medians) {
  if (medians.length < WINDOWS) return false;
  const slopes = [];
  for (let i = 0; i < medians.length; i++) {
    for (let j = i + 1; j < medians.length; j++) slopes.push((medians[j] - medians[i]) / (j - i));
  }
  return Math.abs(median(slopes)) * (WINDOWS - 1) < SETTLED_SHARE * median(medians);
}

/**
 * Samples in milliseconds, in order: each the mean of `perSample` inferences.
 *
 * Before them comes at least one inference that does not count, and as many as `discardMs` hold: another worker has
 * run in the meantime, and the processor's caches are full of its data.
 */
export async function takeTurn(call, {samples, perSample, discardMs, clock = now}) {
  const until = clock() + discardMs;
  do await call(); while (clock() < until);
  const elapsedMs = [];
  for (let index = 0; index < samples; index++) elapsedMs.push(await span(call, perSample, clock));
  return elapsedMs;
}
