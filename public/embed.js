// <milepost-progress job key url>: one job's progress in any page or framework.
// docs/sharing.md says how to use it. A plain script in a block: it needs no CORS and leaves no names behind.
{
  const ORIGIN = document.currentScript?.src ? new URL(document.currentScript.src).origin : location.origin;
  const STATES = {
    pending: "Waiting", running: "Running", pausing: "Pausing", paused: "Paused", completing: "Completing", completed: "Completed",
    canceling: "Canceling", canceled: "Canceled", failed: "Failed", retrying: "Retrying",
  };
  const TONES = {
    completed: "good", failed: "bad", stalled: "bad", lost: "bad", late: "warn", pausing: "warn", paused: "warn",
    canceling: "warn", canceled: "quiet", pending: "quiet", retrying: "warn",
  };
  const NO_ETA = { no_total: "total unknown", no_progress: "no progress yet", rate_limited: "rate limited", not_started: "not started" };
  const ENDED = new Set(["completed", "canceled", "failed"]);
  const GONE = new Set([401, 403, 404, 422]);
  const POLL_MS = { atWork: 5000, ended: 60_000, retry: 2000, longest: 120_000, patience: 15_000 };

  const whole = new Intl.NumberFormat();
  const fine = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
  const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

  // A constructed sheet passes a Content-Security-Policy without 'unsafe-inline'. Colours go by the page's text colour,
  // so that it fits a light and a dark one.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { display: block; min-width: 12em; max-width: 40em; font-size: .875rem; line-height: 1.5; font-variant-numeric: tabular-nums; }
    :host([hidden]) { display: none; }
    p { display: flex; justify-content: space-between; gap: 1em; margin: 0; }
    [part~=name] { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 600; }
    [part~=percent] { font-weight: 600; }
    [part~=state], [part~=eta] { color: var(--milepost-quiet, color-mix(in srgb, currentColor 72%, transparent)); }
    [part~=eta] { text-align: end; }
    [part~=track] { height: var(--milepost-height, .5em); margin: .25em 0; overflow: hidden; border-radius: var(--milepost-radius, 1em);
      background: var(--milepost-track, color-mix(in srgb, currentColor 14%, transparent)); }
    [part~=bar] { height: 100%; inline-size: 0; border-radius: inherit; background: var(--milepost-accent, #4f5bd5); transition: inline-size .4s; }
    [data-tone=good] [part~=bar] { background: var(--milepost-good, #1b7f4c); }
    [data-tone=bad] [part~=bar] { background: var(--milepost-bad, #c5303a); }
    [data-tone=warn] [part~=bar] { background: var(--milepost-warn, #b27300); }
    [data-tone=quiet] [part~=bar] { background: var(--milepost-quiet, color-mix(in srgb, currentColor 50%, transparent)); }
    [data-unknown] [part~=bar] { inline-size: 30%; animation: go 1.6s ease-in-out infinite alternate; }
    [data-old] { opacity: .7; }
    [role=status] { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    @keyframes go { from { margin-inline-start: 0; } to { margin-inline-start: 70%; } }
    @media (prefers-reduced-motion: reduce) {
      [part~=bar] { transition: none; }
      [data-unknown] [part~=bar] { animation: none; inline-size: 100%; opacity: .35; }
    }
    @media (forced-colors: active) { [part~=track] { border: 1px solid; } [part~=bar] { background: Highlight !important; } }`);

  const make = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  // A screen reader hears of what is touched, so only what differs is.
  const say = (node, text) => node.textContent !== text && (node.textContent = text);
  const mark = (node, name, value) => (value === null ? node.removeAttribute(name) : node.getAttribute(name) !== value && node.setAttribute(name, value));

  /** Rounded down: 100 % is said only of 100 %. */
  const percentOf = (p) => (p >= 100 ? "100%" : `${tenth.format(Math.floor(p * 10) / 10)}%`);

  const unitOf = (ms) => (ms < 120_000 ? ["s", 1000] : ms < 7_200_000 ? ["min", 60_000] : ms < 172_800_000 ? ["h", 3_600_000] : ["d", 86_400_000]);

  function amount(ms, [, size]) {
    const n = ms / size;
    return whole.format(n < 10 && size >= 3_600_000 ? Math.round(n * 10) / 10 : Math.max(size === 1000 ? 1 : 0, Math.round(n)));
  }

  function etaOf({ state, eta_ms: eta, eta_low_ms: low, eta_high_ms: high, eta_reason: reason, finished_at: finished }) {
    if (finished) return new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(finished));
    if (eta === null || eta === undefined) return state === "paused" ? "" : (NO_ETA[reason] ?? "");
    const [unit, wide] = [unitOf(eta), unitOf(high)];
    const [from, to] = [amount(low, wide), amount(high, wide)];
    return `${amount(eta, unit)} ${unit[0]} left${from === to ? "" : ` (${from}–${to} ${wide[0]})`}`;
  }

  const rateOf = (r, unit) => r > 0 && r < 0.1 ? `${fine.format(r * 60)} ${unit}/min` : `${r < 100 ? fine.format(r) : whole.format(Math.round(r))} ${unit}/s`;

  function countsOf({ items_completed: completed, items_skipped: skipped, items_total: total, unit }) {
    const done = whole.format(completed + skipped);
    return total === null ? `${done} ${unit}` : `${done} of ${whole.format(total)} ${unit}`;
  }

  class MilepostProgress extends HTMLElement {
    static observedAttributes = ["job", "url", "key"];
    #token = null;
    #job = null;
    #ended = null; // the attempt whose end was told
    #failures = 0;
    #timer = 0;
    #asking = null; // aborts the request that is on its way
    #name = make("span", { part: "name" });
    #percent = make("span", { part: "percent" });
    #bar = make("div", { part: "bar" });
    #track = make("div", { part: "track", role: "progressbar", "aria-label": "Progress", "aria-valuemin": 0, "aria-valuemax": 100 }, this.#bar);
    #state = make("span", { part: "state" }, "Loading…");
    #eta = make("span", { part: "eta" });
    #aloud = make("span", { role: "status" });
    #box = make("div", {}, make("p", {}, this.#name, this.#percent), this.#track, make("p", {}, this.#state, this.#eta), this.#aloud);

    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [sheet];
      root.append(this.#box);
    }

    /** The access token of a signed-in user; setting it asks at once. */
    get token() {
      return this.#token;
    }
    set token(token) {
      this.#token = token || null;
      this.#restart();
    }

    connectedCallback() {
      // Set before this class was known, it would hide the accessor.
      if (Object.hasOwn(this, "token")) {
        const { token } = this;
        delete this.token;
        this.token = token;
      }
      document.addEventListener("visibilitychange", this.#restart);
      this.#restart();
    }
    disconnectedCallback() {
      document.removeEventListener("visibilitychange", this.#restart);
      this.#stop();
    }
    attributeChangedCallback(_, before, now) {
      if (before !== now) this.#restart();
    }

    #stop() {
      clearTimeout(this.#timer);
      this.#asking?.abort();
      this.#asking = null;
    }

    #restart = () => {
      this.#stop();
      this.#failures = 0;
      if (!this.isConnected || document.hidden) return;
      const address = this.#address();
      if (address) this.#ask(address);
    };

    /** Where to ask; null, said to the page's author, where that cannot be. */
    #address() {
      const [key, job] = [this.getAttribute("key"), this.getAttribute("job")];
      const base = (this.getAttribute("url") || ORIGIN).replace(/\/+$/, "");
      if (key?.startsWith("sh_")) return `${base}/v1/shared/${encodeURIComponent(key)}${job ? `?job=${encodeURIComponent(job)}` : ""}`;
      if (key) {
        // Whoever reads the page reads its key: a secret must not work here, so that nobody publishes one.
        console.error("<milepost-progress>: expected in `key` a share link's token (sh_...), found another key, and did not send it. If it is a secret, revoke it: it stands in your page. Make a link: milepost share JOB");
        this.#trouble("This element needs the token of a share link, not a secret key.");
      } else if (this.#token && job) return `${base}/v1/jobs/${encodeURIComponent(job)}`;
      else this.#trouble("Nothing to show: give a share link's token in `key`.");
      return null;
    }

    async #ask(address) {
      const asking = (this.#asking = new AbortController());
      const patience = setTimeout(() => asking.abort("patience"), POLL_MS.patience);
      let wait;
      try {
        const isUser = !this.getAttribute("key");
        const answer = await fetch(address, {
          cache: "no-cache", credentials: "omit", referrerPolicy: "no-referrer", signal: asking.signal, headers: isUser ? { authorization: `Bearer ${this.#token}` } : {},
        });
        if (GONE.has(answer.status)) return this.#trouble(isUser ? "This job cannot be shown. Is the sign-in still valid?" : "This link shows nothing: it has ended, or is for another job.");
        if (!answer.ok) throw Object.assign(new Error(`${answer.status}`), { afterMs: 1000 * answer.headers.get("retry-after") });
        const job = await answer.json();
        if (asking !== this.#asking) return;
        this.#failures = 0;
        this.#show(job);
        wait = job.next_poll_ms ?? (ENDED.has(job.state) ? POLL_MS.ended : POLL_MS.atWork);
      } catch (error) {
        if (asking !== this.#asking) return;
        wait = Math.max(error.afterMs || 0, Math.min(POLL_MS.longest, POLL_MS.retry * 2 ** this.#failures++)) * (0.75 + Math.random() / 2);
        this.#away();
      } finally {
        clearTimeout(patience);
      }
      this.#timer = setTimeout(() => this.#ask(address), wait);
    }

    #show(job) {
      const before = this.#job;
      this.#job = job;
      const { percent_complete: percent, state, liveness, name } = job;
      const isKnown = percent !== null;
      const isStuck = liveness !== "on_time" && !ENDED.has(state);
      const said = `${STATES[state] ?? state}${isStuck ? `, ${liveness}` : ""}`;
      mark(this.#box, "data-tone", TONES[isStuck ? liveness : state] ?? "accent");
      mark(this.#box, "data-unknown", isKnown || ENDED.has(state) ? null : "");
      mark(this.#box, "data-old", null);
      mark(this, "data-state", state);
      say(this.#name, name);
      say(this.#percent, isKnown ? percentOf(percent) : countsOf(job));
      say(this.#state, [said, job.rate_per_s === null || state === "paused" ? null : rateOf(job.rate_per_s, job.unit)].filter(Boolean).join(" · "));
      say(this.#eta, etaOf(job));
      this.#bar.style.inlineSize = isKnown ? `${percent}%` : "";
      mark(this.#track, "aria-label", `Progress of ${name}`);
      mark(this.#track, "aria-valuenow", isKnown ? String(Math.floor(percent * 10) / 10) : null);
      mark(this.#track, "aria-valuetext", `${isKnown ? percentOf(percent) : "unknown"}, ${countsOf(job)}`);
      // Aloud only what one would want to be interrupted for.
      if (before && (before.state !== state || before.liveness !== liveness)) say(this.#aloud, `${name}: ${said}.`);
      if (JSON.stringify(before) !== JSON.stringify(job)) this.dispatchEvent(new CustomEvent("change", { detail: job }));
      if (!ENDED.has(state)) this.#ended = null;
      else if (this.#ended !== job.attempt) {
        this.#ended = job.attempt;
        this.dispatchEvent(new CustomEvent("done", { detail: job }));
      }
    }

    /** Nothing to show, and asking again would not help. */
    #trouble(words) {
      this.#job = null;
      this.dispatchEvent(new CustomEvent("change", { detail: null }));
      for (const name of ["data-tone", "data-unknown", "data-old"]) mark(this.#box, name, null);
      for (const node of [this.#name, this.#percent, this.#eta]) say(node, "");
      this.#bar.style.inlineSize = "";
      mark(this.#track, "aria-valuenow", null);
      mark(this.#track, "aria-valuetext", "unknown");
      mark(this, "data-state", "unavailable");
      say(this.#state, words);
    }

    /** No answer: the last picture stays, and says that it is old. */
    #away() {
      if (!this.#job) return say(this.#state, "Not reachable; it is tried again.");
      if (this.#box.hasAttribute("data-old")) return;
      mark(this.#box, "data-old", "");
      say(this.#eta, `not reachable since ${hour.format(Date.now())}`);
    }
  }

  if (!customElements.get("milepost-progress")) customElements.define("milepost-progress", MilepostProgress);
}
