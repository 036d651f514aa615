// What happens to the page while it measures: hidden, locked, unplugged.

export class Watch {
  /** How often the page was hidden or shown. */
  hiddenChanges = 0;
  #held = false;
  #lock = null;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      this.hiddenChanges += 1;
      if (!document.hidden && this.#held) this.#takeLock(); // the system takes it back when the page is hidden
    });
  }

  /** Keep the screen on, where the browser can, until `release`. */
  async hold() {
    this.#held = true;
    await this.#takeLock();
  }

  release() {
    this.#held = false;
    this.#lock?.release().catch(() => {});
    this.#lock = null;
  }

  /** Resolves at once, or when the page is seen again: browsers slow down what nobody sees. */
  async visible() {
    while (document.hidden) {
      await new Promise((resolve) => document.addEventListener("visibilitychange", resolve, {once: true}));
    }
  }

  /** The battery, or null where the browser does not tell. */
  async battery() {
    try {
      const {level, charging} = await navigator.getBattery();
      return {level, charging};
    } catch {
      return null;
    }
  }

  async #takeLock() {
    try {
      this.#lock = await navigator.wakeLock.request("screen");
    } catch {
      this.#lock = null; // older browsers, plain http, a battery that is low
    }
  }
}
