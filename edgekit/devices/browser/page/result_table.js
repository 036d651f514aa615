// What was measured, for people.

import {make} from "./elements.js";
import {median, noiseRatios, quantile, snrDb} from "./statistics.js";

/** Fewer samples say little of a p90. */
const LEAST_FOR_P90 = 64;

/** What is said of a cell: durations, and whether its outputs are right; `scales` are the job's, one per output. */
export function summary(cell, reference, scales) {
  const processes = cell.processes.filter((process) => !process.failure);
  const elapsedMs = processes.flatMap((process) => process.elapsed_us).map((value) => value / 1000);
  const most = Math.max(1, ...processes.map((process) => process.calls_per_sample));
  const said = {
    variant: cell.variant.name,
    processor: cell.threads > 1 ? `${cell.processor}, ${cell.threads} threads` : cell.processor,
    medianMs: elapsedMs.length ? median(elapsedMs) : null,
    p90Ms: most === 1 && elapsedMs.length >= LEAST_FOR_P90 ? quantile(elapsedMs, 0.9) : null,
    mostCallsPerSample: most,
    correct: null,
    reason: cell.reason,
  };
  if (!cell.outputs) return said;
  const fault = faultOf(cell, reference, scales);
  said.correct = !fault;
  said.reason ||= fault;
  return said;
}

/** Why a cell's outputs are wrong; empty when they are not. The desk has the last word. */
function faultOf(cell, reference, scales) {
  const at = (samples, index) => samples.map((sample) => sample[index]);
  const ratios = scales.map((scale, index) => (
    scale === null ? [] : noiseRatios(at(reference, index), at(cell.outputs, index), scale)
  )).flat();
  if (ratios.length === 0) return "";
  const found = snrDb(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length);
  const worst = snrDb(Math.max(...ratios));
  const {snr_db: due, column_snr_db: columnDue} = cell.variant.required;
  if (worst < columnDue) return `an output is wrong: SNR ${worst.toFixed(1)} dB, ${columnDue} due`;
  return found < due ? `its outputs are wrong: SNR ${found.toFixed(1)} dB, ${due} due` : "";
}

/** The table of summaries. */
export function resultTable(summaries) {
  const heads = ["Variant", "Median", "p90", "Outputs"].map((text, index) => (
    make("th", {scope: "col", className: index === 1 || index === 2 ? "n" : "", textContent: text})
  ));
  return make("table", {},
    make("caption", {textContent: "Milliseconds for one inference: input written, model run, outputs read."}),
    make("thead", {}, make("tr", {}, ...heads)),
    make("tbody", {}, ...summaries.flatMap(rows)));
}

function rows(said) {
  const correct = said.correct === null ? ["–", ""] : said.correct ? ["correct", "good"] : ["wrong", "bad"];
  const row = make("tr", {},
    make("th", {scope: "row"}, said.variant.replace(/\.tflite$/, ""), make("small", {textContent: said.processor})),
    make("td", {className: "n", textContent: shown(said.medianMs)}),
    make("td", {className: "n", textContent: shown(said.p90Ms)}),
    make("td", {className: correct[1], textContent: correct[0]}));
  if (!said.reason) return [row];
  return [row, make("tr", {}, make("td", {colSpan: 4, className: "bad", textContent: `${said.variant}: ${said.reason}`}))];
}

/** Three figures, and no more than a microsecond. */
function shown(value) {
  if (value === null) return "–";
  return value.toFixed(Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(value)))));
}

/** What else is to be said of a result, each in one line. */
export function remarks(result, summaries) {
  const found = [result.why_threads.replace(/^./, (letter) => letter.toUpperCase())];
  const processes = result.cells.flatMap((cell) => cell.processes);
  if (result.cells.some((cell) => cell.build === "compat")) found.push("LiteRT.js's build without relaxed SIMD: slower for int8");
  if (summaries.some((said) => said.mostCallsPerSample > 1)) {
    const step = result.browser.timer_resolution_us;
    found.push(`Each sample is the mean of several inferences, since this browser's clock takes steps of ${step} µs; hence no p90`);
  }
  for (const cell of result.cells) {
    if (cell.fully_accelerated === false) found.push(`${cell.variant}: LiteRT.js accelerates only a part of it`);
  }
  const hidden = Math.max(0, ...processes.map((process) => process.hidden_changes));
  if (hidden) found.push("The page was hidden for a time while it measured: measure again for figures to rely on");
  const batteries = processes.flatMap((process) => [process.battery_before, process.battery_after]).filter(Boolean);
  const sources = new Set(batteries.map((battery) => battery.charging));
  if (sources.size > 1) found.push("The charger was plugged in or out while it measured");
  else if (sources.has(false)) found.push("On battery: phones may be slower then");
  return found;
}
