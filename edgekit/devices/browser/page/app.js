// The page: what it shows, and what its buttons do.

import {START_S} from "./block.js";
import {make, find} from "./elements.js";
import {lookAround} from "./environment.js";
import {Files, loadJob} from "./job.js";
import {measure, newRun, plan} from "./measuring.js";
import {keep, kept, note, send, tell, unfinished} from "./result.js";
import {remarks, resultTable, summary} from "./result_table.js";
import {TryOut} from "./try_out.js";
import {Watch} from "./watch.js";

/** How often progress is shown, and told to the desk: both take the processor some work. */
const SHOW_MS = 400;
const TELL_MS = 2000;

class App {
  #site;
  #tryOut;
  #abort = null;
  #last = null;
  #again = null;

  async start() {
    const job = await loadJob();
    const environment = await lookAround(job);
    this.#site = {job, environment, files: new Files(job), watch: new Watch()};
    document.title = `${job.bundle.name} – edgekit`;
    find("name").textContent = job.bundle.name;
    find("place").textContent = placeOf(environment, job);
    showFacts(environment);
    this.#showPlan();
    find("measure").onclick = () => this.#toggle();
    find("send").onclick = () => this.#send(this.#last);
    this.#tryOut = new TryOut(job, environment, this.#site.files);
    this.#recall();
    find("measure").disabled = false;
  }

  #showPlan() {
    const {job, environment} = this.#site;
    const cells = plan(job, environment);
    const runnable = cells.filter((cell) => !cell.reason);
    const names = [...new Set(runnable.map((cell) => cell.variant.name.replace(/\.tflite$/, "")))].join(", ");
    const processors = [...new Set(runnable.map((cell) => cell.processor))].join(" and ");
    const {repeats, seconds} = job.settings;
    const minutes = Math.max(1, Math.round((runnable.length * (repeats * START_S + seconds)) / 60));
    find("plan").textContent = runnable.length
      ? `${names} on the ${processors}: takes about ${minutes === 1 ? "a minute" : `${minutes} minutes`}.`
      : "Nothing of this bundle runs here.";
    const notes = cells.filter((cell) => cell.reason).map((cell) => `${cell.title}: ${cell.reason}`);
    if (notes.length) find("plan").append(make("br"), `Not run: ${notes.join("; ")}.`);
  }

  /** What was there before the page was loaded again. */
  #recall() {
    const found = kept(this.#site.job.bundle.sha256);
    if (found) {
      this.#last = found.result;
      this.#show(found.result, found.summaries);
      find("delivery").textContent = "This is the last result, measured before the page was loaded again.";
      find("send").hidden = false;
    }
    const doing = unfinished();
    if (doing) find("status").textContent = `The last measurement was cut off (${doing}). Measure starts a new one.`;
    note(null);
  }

  #toggle() {
    if (this.#abort) this.#abort.abort(new Error("stopped"));
    else this.#measure();
  }

  async #measure() {
    clearTimeout(this.#again);
    this.#abort = new AbortController();
    this.#setRunning(true);
    const run = newRun();
    const site = {...this.#site, run, signal: this.#abort.signal, ...this.#reports(run)};
    try {
      await this.#tryOut.pause();
      const {result, cells} = await measure(site);
      const {outputs, scales} = await site.files.checks();
      const summaries = cells.map((cell) => summary(cell, outputs, scales));
      note(null);
      find("status").textContent = "Measured.";
      this.#last = result;
      this.#show(result, summaries);
      keep(result, summaries);
      await this.#send(result);
    } catch (error) {
      if (this.#abort.signal.aborted) note(null); // else it may be the page that ends, whose requests then fail
      find("status").textContent = `Not measured: ${error.message}.`;
    } finally {
      this.#abort = null;
      this.#setRunning(false);
      this.#tryOut.resume();
    }
  }

  /** The functions that are told how a measurement goes; shown and told now and then. */
  #reports(run) {
    const device = deviceOf(this.#site.environment.browser);
    let text = "";
    let done = 0;
    let shown = -Infinity;
    let told = -Infinity;
    const show = () => {
      const now = performance.now();
      if (now - shown < SHOW_MS) return;
      shown = now;
      find("progress").value = done;
      find("doing").textContent = `${Math.round(100 * done)} % · ${text}`;
      note(text);
      if (now - told < TELL_MS) return;
      told = now;
      tell(run, device, done, text);
    };
    return {
      log: (line) => {
        text = line;
        show();
      },
      progress: (share) => {
        done = share;
        show();
      },
    };
  }

  #setRunning(running) {
    find("measure").textContent = running ? "Stop" : "Measure";
    find("running").hidden = !running;
    find("plan").hidden = running;
    find("result").hidden = running || !this.#last;
    find("progress").value = 0;
    find("doing").textContent = "Starting.";
    if (running) find("status").textContent = "Measuring. Leave this page open, and the phone alone.";
  }

  #show(result, summaries) {
    find("table").replaceChildren(resultTable(summaries));
    find("notes").replaceChildren(...remarks(result, summaries).map((text) => make("li", {textContent: `${text}.`})));
    find("result").hidden = false;
  }

  async #send(result) {
    clearTimeout(this.#again);
    const line = find("delivery");
    line.className = "";
    line.textContent = "Sending the result to the desk.";
    find("send").hidden = true;
    try {
      await send(result);
      line.textContent = "The result has arrived at the desk.";
      line.className = "good";
    } catch (error) {
      line.textContent = `The result did not arrive: ${error.message}.`;
      line.className = "bad";
      if (error.again_ms) this.#again = setTimeout(() => this.#send(result), error.again_ms);
    }
    find("send").hidden = line.className === "good";
  }
}

/** What this address allows, in one line. */
function placeOf({connection, whyThreads, whyNoGpu}, job) {
  const names = {localhost: "On localhost", https: "Over https", http: "Over plain http"};
  const gpu = job.settings.accelerators.includes("webgpu") ? `; ${whyNoGpu ? `no WebGPU: ${whyNoGpu}` : "WebGPU is there"}` : "";
  return `${names[connection]}. ${whyThreads}${gpu}.`;
}

/** What the desk calls this device while it measures. */
function deviceOf({model, platform, mobile}) {
  return (model || platform || (mobile ? "a phone" : "a browser")).slice(0, 100);
}

function showFacts({browser, build}) {
  const facts = {
    "Calls itself": browser.user_agent,
    "Cores": browser.cores,
    "Isolated, secure": `${browser.cross_origin_isolated ? "yes" : "no"}, ${browser.secure_context ? "yes" : "no"}`,
    "Relaxed SIMD": browser.relaxed_simd ? "yes" : "no",
    "WebGPU": browser.webgpu ? browser.webgpu_adapter ?? "yes" : "no",
    "Clock's step": `${browser.timer_resolution_us} µs`,
    "LiteRT.js": `${browser.litert_js}, ${build} build`,
  };
  find("facts").replaceChildren(...Object.entries(facts).map(([name, value]) => (
    make("div", {}, make("dt", {textContent: name}), make("dd", {textContent: value}))
  )));
}

new App().start().catch((error) => {
  find("name").textContent = "This does not work";
  find("place").textContent = `${error.message}.`;
});
