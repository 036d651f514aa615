// One fresh worker with one model in it, which may fail, crash or hang without harm to anything else.

/** How often the page looks whether an answer is overdue; what it is hidden or asleep for does not count. */
const LOOK_MS = 500;

/** What became of a worker, in one line. */
export class ProcessFailure extends Error {}

export class Process {
  #worker = new Worker(new URL("worker.js", import.meta.url));
  #last = 0;
  #settle = null;
  #ended = "";

  constructor() {
    this.#worker.onmessage = ({data}) => this.#receive(data);
    this.#worker.onmessageerror = () => this.#end("it sent what cannot be read");
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end(event.message ? `it crashed: ${event.message}` : "its program could not be loaded");
    };
  }

  /**
   * Ask for one step, and wait for the answer.
   *
   * @param {string} verb A method of the worker's model.
   * @param {number} mostMs How long it may take while the page is visible.
   * @returns {Promise<object>}
   * @throws {ProcessFailure} It failed, crashed or took too long. The worker is gone then.
   */
  ask(verb, request, mostMs, doing) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(new ProcessFailure(this.#ended));
      let waited = 0;
      let seen = performance.now();
      const watch = setInterval(() => {
        const now = performance.now();
        if (!document.hidden) waited += Math.min(now - seen, 2 * LOOK_MS);
        seen = now;
        if (waited > mostMs) this.#end(`it hangs while ${doing}: no answer in ${Math.round(mostMs / 1000)} s`);
      }, LOOK_MS);
      this.#settle = (answer, failure) => {
        clearInterval(watch);
        this.#settle = null;
        if (answer) resolve(answer);
        else reject(new ProcessFailure(failure));
      };
      this.#worker.postMessage({id, verb, ...request});
    });
  }

  close() {
    this.#end("it was ended");
  }

  #receive({id, answer, failure}) {
    if (failure !== undefined) this.#end(failure);
    else if (id === this.#last) this.#settle?.(answer);
  }

  #end(failure) {
    this.#worker.terminate();
    this.#ended ||= failure.replace(/[^\x20-\x7e]/g, "?").slice(0, 300);
    this.#settle?.(null, this.#ended);
  }
}
