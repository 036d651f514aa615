// The result on its way to the desk, and kept here until it is there.

const KEY = "edgekit result";
const UNFINISHED = "edgekit unfinished";

/** Keep a result beyond a reload; false where the browser keeps nothing, or it is too large for it. */
export function keep(result, summaries) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({result, summaries}));
    return true;
  } catch {
    return false;
  }
}

/** The result and summaries that were kept of this bundle, or null. */
export function kept(bundleSha256) {
  try {
    const found = JSON.parse(sessionStorage.getItem(KEY));
    return found?.result.bundle_sha256 === bundleSha256 ? found : null;
  } catch {
    return null;
  }
}

/** Note what is going on, so that a page that was ended in the middle can say so when it is back. */
export function note(doing) {
  try {
    if (doing) sessionStorage.setItem(UNFINISHED, doing);
    else sessionStorage.removeItem(UNFINISHED);
  } catch {
    // private windows of some browsers keep nothing
  }
}

/** What was going on when the page was ended, or null. */
export function unfinished() {
  try {
    return sessionStorage.getItem(UNFINISHED);
  } catch {
    return null;
  }
}

/**
 * Post a result. The desk counts it once, however often it is sent.
 *
 * @throws {Error} Why it did not arrive, in one line; with `again_ms` where the desk asks to send it again after so long.
 */
export async function send(result) {
  let answer;
  try {
    answer = await post("result", result);
  } catch {
    throw new Error("the desk does not answer");
  }
  if (answer.ok) return;
  const {message} = await answer.json().catch(() => ({}));
  const error = new Error(message || `the desk refuses it (${answer.status})`);
  throw Object.assign(error, {again_ms: 1000 * Number(answer.headers.get("Retry-After") ?? 0)});
}

/** Tell the desk how far a measurement is; whether it hears makes no difference. */
export function tell(run, device, done, text) {
  post("progress", {run, device, done, text: text.slice(0, 200)}).catch(() => {});
}

function post(path, value) {
  return fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(value)});
}
