// How figures, times and states are said.

const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const tenth = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const second = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const date = new Intl.DateTimeFormat(undefined, { dateStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const UNKNOWN = "–";

export const STATES = {
  pending: "Waiting",
  running: "Running",
  pausing: "Pausing",
  paused: "Paused",
  completing: "Completing",
  completed: "Completed",
  canceling: "Canceling",
  canceled: "Canceled",
  failed: "Failed",
  retrying: "Retrying",
  processing: "Processing",
  skipped: "Skipped",
};

export const LIVENESS = { on_time: "On time", late: "Late", stalled: "Stalled", lost: "Lost" };
export const HEALTH = { excellent: "excellent", good: "good", fair: "fair", poor: "poor" };
/** What was asked of a job and is not answered yet. */
export const ASKED = { pause: "Asking to pause…", resume: "Asking to resume…", retry: "Asking to retry…", cancel: "Asking to cancel…", priority: "Setting priority…" };
export const ENDED = new Set(["completed", "canceled", "failed"]);
export const AT_WORK = new Set(["running", "completing", "pausing", "canceling"]);

const NO_ETA = {
  no_total: "total unknown",
  no_progress: "no progress yet",
  paused: "paused",
  rate_limited: "rate limited",
  finished: "finishing",
  not_started: "not started",
  stalled: "stalled",
};

export function count(n) {
  return n === null || n === undefined ? UNKNOWN : whole.format(n);
}

/** Rounded down: 100 % is said only of 100 %. */
export function percent(p) {
  if (p === null || p === undefined) return UNKNOWN;
  return p >= 100 ? "100%" : `${tenth.format(Math.floor(p * 10) / 10)}%`;
}

export function rate(perSecond, unit) {
  if (perSecond === null || perSecond === undefined) return UNKNOWN;
  if (perSecond > 0 && perSecond < 0.1) return `${fine.format(perSecond * 60)} ${unit}/min`;
  return `${amount(perSecond)} ${unit}/s`;
}

/** A figure without its unit: 3.27, 214, 12.5K. */
export function amount(n) {
  return n >= 10_000 ? short.format(n) : n >= 100 ? whole.format(Math.round(n)) : fine.format(n);
}

export function bytes(n) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const power = n < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(n) / 3));
  return `${fine.format(n / 1000 ** power)} ${units[power]}`;
}

const SPANS = [
  ["s", 1000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
];

/** A duration in its largest unit, and the next one where that is small: "42 s", "8 min", "1 h 20 min". */
export function duration(ms) {
  if (ms === null || ms === undefined) return UNKNOWN;
  if (ms < 1000) return `${whole.format(Math.max(0, Math.round(ms)))} ms`;
  let n = SPANS.findLastIndex(([, size]) => ms >= size);
  if (n === 0) return `${whole.format(Math.round(ms / 1000))} s`;
  const [unit, size] = SPANS[n];
  const [smallUnit, smallSize] = SPANS[n - 1];
  const total = Math.round(ms / smallSize);
  const per = size / smallSize;
  const [big, rest] = [Math.floor(total / per), total % per];
  return big >= 10 || rest === 0 ? `${whole.format(Math.round(ms / size))} ${unit}` : `${whole.format(big)} ${unit} ${rest} ${smallUnit}`;
}

/** "7–12 min": both ends in the unit of the upper one. */
export function span(lowMs, highMs) {
  const n = Math.max(0, SPANS.findLastIndex(([, size]) => highMs >= 2 * size));
  const [unit, size] = SPANS[n];
  const [low, high] = [lowMs / size, highMs / size].map((value) => (value < 10 ? Math.round(value * 10) / 10 : Math.round(value)));
  const said = [low, high].map((value) => whole.format(high >= 10 ? Math.round(value) : value));
  return said[0] === said[1] ? `${said[0]} ${unit}` : `${said[0]}–${said[1]} ${unit}`;
}

/** How long is left, in two lines: the expectation, and its range or the reason why there is none. */
export function timeLeft(job) {
  if (ENDED.has(job.state)) {
    return { said: job.time_processing_ms === null ? UNKNOWN : duration(job.time_processing_ms), more: "active time" };
  }
  if (job.eta_ms === null || job.eta_ms === undefined) return { said: UNKNOWN, more: NO_ETA[job.eta_reason] ?? "unknown" };
  return { said: duration(Math.max(1000, job.eta_ms)), more: span(job.eta_low_ms, job.eta_high_ms) };
}

/** "850,000 of 2,000,000 rows": what is settled well, of how much. */
export function settled(job) {
  const done = job.items_completed + job.items_skipped;
  return job.items_total === null ? `${count(done)} ${job.unit}` : `${count(done)} of ${count(job.items_total)} ${job.unit}`;
}

export function ago(iso, now = Date.now()) {
  if (!iso) return UNKNOWN;
  const ms = now - Date.parse(iso);
  if (ms < 1000) return "now";
  const n = SPANS.findLastIndex(([, size]) => ms >= size);
  const [unit, size] = SPANS[n];
  return n === 3 && ms >= 7 * size ? day.format(Date.parse(iso)) : `${whole.format(Math.floor(ms / size))} ${unit} ago`;
}

/** When, in the reader's zone: the hour for what is near, the day too for what is not. */
export function when(iso, now = Date.now()) {
  if (!iso) return UNKNOWN;
  const at = Date.parse(iso);
  return Math.abs(at - now) < 12 * 3_600_000 ? hour.format(at) : day.format(at);
}

export function exactly(iso) {
  return iso ? moment.format(Date.parse(iso)) : "";
}

/** A mark on an axis of time: as fine as what lies between marks. Both in s. */
export function mark(at, apart) {
  return (apart < 60 ? second : apart < 43_200 ? hour : date).format(at * 1000);
}

/** The hour of a moment given in ms. */
export function clockTime(ms) {
  return hour.format(ms);
}

/** An event in a few words: what happened, and to what. */
export function event({ type, data }) {
  switch (type) {
    case "job.started":
      return ["Started", ""];
    case "job.progress":
      return ["Progress", percent(data.percent_complete)];
    case "job.state_changed":
      return [STATES[data.new_state] ?? data.new_state, [data.reason, by(data.actor)].filter(Boolean).join(" · ")];
    case "job.completed":
      return ["Completed", settled(data)];
    case "job.failed":
      return ["Failed", data.error ?? ""];
    case "job.stalled":
      return ["Stalled", "no progress for longer than usual"];
    case "job.recovered":
      return ["Recovered", "it makes progress again"];
    case "job.priority_changed":
      return ["Priority", [`${count(data.prior_priority)} → ${count(data.priority)}`, data.reason, by(data.actor)].filter(Boolean).join(" · ")];
    case "stage.changed":
      return [`Stage ${STATES[data.state]?.toLowerCase() ?? data.state}`, data.name];
    case "item.changed":
      return [`Item ${STATES[data.state]?.toLowerCase() ?? data.state}`, data.key];
    default:
      return [type, ""];
  }
}

function by(actor) {
  if (!actor) return "";
  const [who, name] = [actor.slice(0, actor.indexOf(":")), actor.slice(actor.indexOf(":") + 1)];
  return { user: "by a person", key: "by a key", worker: `by ${name}` }[who] ?? "by Milepost";
}
