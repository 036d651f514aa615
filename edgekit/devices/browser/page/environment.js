// What this browser can do at this address, and why.

import {timerStepMs} from "./phases.js";

const MOST_THREADS = 4; // more rarely help, on phones least of all: the rest of the cores are slow ones
/**
 * (module (func (result v128) i32.const 1 i8x16.splat i32.const 2 i8x16.splat i8x16.relaxed_swizzle))
 *
 * Safari has no relaxed SIMD; LiteRT.js has a build without it, "compat", and its threads need it.
 */
const RELAXED_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2, 253, 15,
  253, 128, 2, 11,
]);

/**
 * Look around.
 *
 * `?build=compat` in the page's address takes the build for browsers without relaxed SIMD in any browser: to measure
 * what it costs.
 *
 * @param {object} job
 * @returns {Promise<{browser: object, connection: string, build: string, threads: number, whyThreads: string,
 *   whyNoGpu: string}>} `browser` and `connection` as in the result; build and threads for the CPU.
 */
export async function lookAround(job) {
  const gpu = await gpuAdapter();
  const browser = {
    user_agent: printable(navigator.userAgent, 500),
    platform: printable(navigator.userAgentData?.platform || navigator.platform || "", 200),
    mobile: navigator.userAgentData?.mobile ?? null,
    model: await modelName(),
    cores: navigator.hardwareConcurrency ?? 1,
    memory_gib: navigator.deviceMemory ?? null,
    secure_context: isSecureContext,
    cross_origin_isolated: isIsolated(),
    relaxed_simd: WebAssembly.validate(RELAXED_SIMD),
    webgpu: Boolean(gpu.adapter),
    webgpu_adapter: gpu.name,
    automated: Boolean(navigator.webdriver),
    timer_resolution_us: Math.round(timerStepMs() * 1e6) / 1e3,
    screen: `${screen.width}x${screen.height}@${Math.round(devicePixelRatio * 100) / 100}`,
    litert_js: job.runtime.litert_js,
  };
  const forced = new URLSearchParams(location.search).get("build") === "compat";
  const compat = forced || !browser.relaxed_simd;
  const [threads, whyThreads] = threadsFor(job.settings.threads, browser, compat);
  const build = compat ? "compat" : threads > 1 ? "threaded" : "default";
  return {browser, connection: connection(), build, threads, whyThreads, whyNoGpu: gpu.reason};
}

function isIsolated() {
  return self.crossOriginIsolated === true && typeof SharedArrayBuffer === "function";
}

function connection() {
  if (["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)) return "localhost";
  return location.protocol === "https:" ? "https" : "http";
}

/** How many threads the CPU's models get, and why, in one line. */
function threadsFor(asked, browser, compat) {
  const most = Math.min(asked ?? MOST_THREADS, browser.cores);
  if (asked === 1) return [1, "1 thread, as asked for"];
  if (!browser.secure_context) {
    return [1, "1 thread: the address is plain http, where browsers have no shared memory; https or localhost have it"];
  }
  if (!browser.cross_origin_isolated) {
    return [1, "1 thread: the page is not isolated from other sites, so that the browser has no shared memory"];
  }
  if (compat) return [1, "1 thread: LiteRT.js has threads only with relaxed SIMD, which this browser lacks"];
  if (most === 1) return [1, "1 thread: this device has one core"];
  const held = asked !== null && most < asked ? ` (${asked} were asked for, and it has ${most} cores)` : "";
  return [most, `${most} threads: the page is isolated from other sites${held}`];
}

async function gpuAdapter() {
  if (!navigator.gpu) {
    const reason = isSecureContext ? "this browser has no WebGPU" : "browsers have WebGPU only over https or localhost";
    return {adapter: null, name: null, reason};
  }
  try {
    const adapter = await navigator.gpu.requestAdapter();
    if (!adapter) return {adapter, name: null, reason: "the browser finds no GPU that it would use"};
    const {vendor, architecture, device, description} = adapter.info ?? {};
    const name = [vendor, architecture, device, description].filter(Boolean).join(" ");
    return {adapter, name: printable(name, 200) || null, reason: ""};
  } catch (error) {
    return {adapter: null, name: null, reason: `WebGPU does not start: ${error.message}`};
  }
}

async function modelName() {
  try {
    const {model} = await navigator.userAgentData.getHighEntropyValues(["model"]);
    return printable(model, 200) || null;
  } catch {
    return null; // only Chromium tells
  }
}

const printable = (text, most) => text.replace(/[^\x20-\x7e]/g, "?").slice(0, most);
