// A clock that moves only when told to, and lets everything that is due happen on the way.

const settled = () => new Promise((resolve) => setImmediate(resolve));

export class VirtualClock {
  #now = 0;
  #timers = new Map();
  #count = 0;

  now = () => this.#now;

  setTimeout = (run, ms) => {
    this.#timers.set(++this.#count, { run, at: this.#now + Math.max(0, ms) });
    return this.#count;
  };

  clearTimeout = (timer) => {
    this.#timers.delete(timer);
  };

  after = (ms) => new Promise((resolve) => this.setTimeout(resolve, ms));

  get waiting() {
    return this.#timers.size;
  }

  async advance(ms) {
    const end = this.#now + ms;
    await settled();
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!due) break;
      const [timer, { run, at }] = due;
      this.#timers.delete(timer);
      this.#now = at;
      run();
      await settled();
    }
    this.#now = end;
  }
}

/** Random numbers in [0, 1) that are the same for the same seed. */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
