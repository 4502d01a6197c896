// One job: how far, until when, and what of it needs somebody.

import { attempts } from "./attempts.js";
import { bar, ring } from "./bar.js";
import { courseCharts } from "./chart.js";
import { controls } from "./controls.js";
import { attribute, eachFrame, el, text } from "./dom.js";
import { eventList } from "./events.js";
import { factList } from "./facts.js";
import { itemsTable } from "./items.js";
import { watchJob } from "./milepost.js";
import { canNotify, isAwaited, setAwaited, tellOfEnd } from "./notify.js";
import { shareButton } from "./share.js";
import { stageLane } from "./stages.js";
import { workerTable } from "./workers.js";
import * as words from "./words.js";

const EXPLAIN_AGAIN_MS = 10_000;
// Reasons that say more than the sentence does.
const TELLING = ["slow", "slowest_worker", "past_deadline"];

/**
 * @param {object} session {client, userId, roles}
 * @param {object} shell {apiUrl, status, say, fail, title, back}
 * @param {string} jobId
 */
export function jobView({ client, userId, roles }, shell, jobId) {
  const database = client.schema("milepost");
  const heading = el("h1", { tabindex: -1 }, "Loading…");
  const state = ring();
  const chips = el("p", { class: "chips" });
  const identity = el("p", { class: "identity" });
  const percent = el("span", { class: "percent" });
  const progress = bar("Progress");
  const counts = el("p", { class: "counts" });
  const message = el("p", { class: "message", hidden: true });
  const whyMore = el("span", { class: "sub" });
  const whySaid = el("span");
  const why = el("p", { class: "why", hidden: true }, whySaid, whyMore);
  const facts = factList(["Time left", "Finishes", "Rate", "Active time", "Throughput", "Last checkpoint", "Last progress"]);
  const buttons = controls(act);
  buttons.node.firstElementChild.append(shareButton({ client, userId }, shell, jobId));
  buttons.node.hidden = true;
  const bell = el("button", { type: "button", class: "quiet", hidden: true, on: { click: toggleBell } }, "Notify me");
  const course = courseCharts(database, jobId, shell.fail);
  const stages = stageLane();
  const workers = workerTable();
  const tries = attempts(database, jobId, shell.fail);
  const items = itemsTable(database, jobId, shell.fail);
  const events = eventList(database, jobId, shell.fail);
  const cursor = json("Cursor");
  const metadata = json("Metadata");
  const body = el("div", { class: "body", hidden: true },
    el("div", { class: "overview" },
      el("div", { class: "far" }, percent, progress.node, counts, message),
      facts.node),
    el("div", { class: "parts" },
      el("div", {}, stages.node, course.node, workers.node, items.node),
      el("div", {}, tries.node, events.node, cursor.node, metadata.node)));
  const absent = el("div", { class: "empty", hidden: true });
  const node = el("article", { class: "one" },
    el("nav", { "aria-label": "Breadcrumb" }, el("a", { href: shell.back, class: "back", "aria-keyshortcuts": "u" }, shell.back.startsWith("#/history") ? "History" : "Jobs")),
    el("header", {}, el("div", {}, el("div", { class: "title" }, state.node, heading), chips, identity), el("div", { class: "acts" }, buttons.node, bell)),
    why, absent, body);

  let job = null;
  let asked = null; // what was asked of it and is not answered yet
  let explained = { of: null, at: 0 };
  let announced = null;
  let heard = 0; // the version that events and items know of

  /** Asks it of the job. Meanwhile the page says so; what it then shows is what the database answered. */
  async function act(verb, given) {
    asked = verb;
    paint();
    try {
      const { data, error } = await database.rpc(verb === "priority" ? "set_job_priority" : `${verb}_job`, { job_id: jobId, ...given });
      if (error) throw error;
      if (data.version >= job.version) job = data;
      watch.refresh();
    } finally {
      asked = null;
      paint();
    }
  }

  function readParts(version) {
    heard = version;
    events.read();
    items.read();
  }

  async function toggleBell() {
    const isWanted = !isAwaited(jobId);
    const isSet = await setAwaited(jobId, isWanted);
    if (isWanted && !isSet) shell.say("The browser does not allow notifications from this page.");
    paint();
  }

  const paint = eachFrame(() => {
    if (!job) return;
    body.hidden = false;
    attribute(node, "data-state", job.state);
    attribute(node, "data-liveness", job.liveness);
    text(heading, job.name);
    state.show(job);
    drawChips();
    text(identity, [job.job, job.kind, `attempt ${job.attempt} of ${job.max_attempts}`, job.owner_id === userId ? "yours" : null, job.priority ? `priority ${job.priority}` : null].filter(Boolean).join(" · "));
    progress.show(job, job.unit);
    text(percent, words.percent(job.percent_complete));
    text(counts, [words.settled(job), ...["failed", "skipped", "canceled"].map((name) => job[`items_${name}`] > 0 ? `${words.count(job[`items_${name}`])} ${name}` : null)].filter(Boolean).join(" · "));
    text(message, job.message);
    message.hidden = !job.message;
    const eta = words.timeLeft(job);
    const isOver = words.ENDED.has(job.state);
    facts.show("Time left", isOver ? null : eta.said, job.eta_ms === null ? eta.more : `${eta.more} likely`);
    facts.time("Finishes", isOver ? job.finished_at : job.estimated_completion_at, { label: isOver ? "Finished" : "Finishes", ahead: finishRange() });
    facts.show("Rate", words.rate(job.rate_per_s, job.unit), isOver ? "on average" : null);
    facts.show("Active time", job.time_processing_ms === null ? null : words.duration(job.time_processing_ms), "pauses not counted");
    facts.show("Throughput", job.bytes_per_s === null ? null : `${words.bytes(job.bytes_per_s)}/s`, `${words.bytes(job.bytes_processed)} in all`);
    facts.time("Last checkpoint", job.last_checkpoint_at);
    facts.time("Last progress", isOver ? null : job.last_progress_at);
    const role = roles[job.tenant_id];
    buttons.node.hidden = !(["operator", "admin"].includes(role) || (role && job.owner_id === userId));
    buttons.show(job);
    bell.hidden = !canNotify || isOver;
    attribute(bell, "aria-pressed", String(isAwaited(jobId)));
    text(bell, isAwaited(jobId) ? "Will notify you" : "Notify me");
    course.show(job);
    tries.show(job);
    events.show(job);
    stages.show(job);
    workers.show(job);
    cursor.show(job.cursor);
    metadata.show(job.metadata);
    shell.title(`${job.percent_complete === null || isOver ? words.STATES[job.state] : words.percent(job.percent_complete)} · ${job.name}`, job);
    tellOfEnd(job);
    announce();
    explain();
  });

  function drawChips() {
    const said = [[words.STATES[job.state], "state"]];
    if (asked) said.push([words.ASKED[asked], "asked"]);
    if (words.AT_WORK.has(job.state)) said.push([words.LIVENESS[job.liveness], `liveness-${job.liveness}`], [`Health ${words.HEALTH[job.health]}`, `health-${job.health}`]);
    if (job.rate_limited) said.push([`Rate limited until ${words.when(job.rate_limited_until)}`, "limited"]);
    if (chips.textContent === said.map(([word]) => word).join("")) return;
    chips.replaceChildren(...said.map(([word, name]) => el("span", { class: `chip ${name}` }, word)));
  }

  /** Between which times it is likely to end, where these are not the same minute. */
  function finishRange() {
    if (!job.estimated_completion_at) return null;
    const at = (eta) => words.when(new Date(Date.parse(job.estimated_completion_at) - job.eta_ms + eta).toISOString());
    const [low, high] = [at(job.eta_low_ms), at(job.eta_high_ms)];
    return low === high ? null : `${low} – ${high}`;
  }

  /** Aloud only what a person would want to be interrupted for. */
  function announce() {
    const said = `${words.STATES[job.state]}${["stalled", "lost"].includes(job.liveness) ? `, ${words.LIVENESS[job.liveness].toLowerCase()}` : ""}`;
    if (announced !== null && announced !== said) shell.say(`${job.name}: ${said}.`);
    announced = said;
  }

  /** The sentence that says what is wrong, or what it waits for. */
  async function explain() {
    const isPlain = job.liveness === "on_time" && !job.rate_limited && ["running", "completing", "completed", "pending"].includes(job.state);
    if (isPlain) {
      why.hidden = true;
      explained = { of: null, at: 0 };
      return;
    }
    const of = [job.state, job.liveness, job.attempt].join();
    if (explained.of === of && Date.now() - explained.at < EXPLAIN_AGAIN_MS) return;
    explained = { of, at: Date.now() };
    const { data, error } = await database.rpc("explain_job", { job_id: jobId });
    if (explained.of !== of) return;
    why.hidden = Boolean(error);
    if (error) shell.fail(error);
    else {
      text(whySaid, data.summary);
      text(whyMore, data.reasons.filter(({ code }) => TELLING.includes(code)).map(({ message: said }) => said).join(" "));
    }
  }

  const watch = watchJob(client, jobId, {
    apiUrl: shell.apiUrl,
    onChange(changed) {
      job = changed;
      paint();
      // A read was faster than a message, which then is none any more: what it would have told has to be read, too.
      if (changed.version > heard) readParts(changed.version);
    },
    onEvent(event) {
      if (heard && event.version > heard + 1) readParts(event.version);
      heard = event.version;
      events.hear(event);
      items.hear(event);
    },
    onStatus: shell.status,
    onError(error) {
      if (error.code !== "job_not_found") return shell.fail(error);
      text(heading, "No such job");
      absent.hidden = false;
      body.hidden = true;
      buttons.node.hidden = true;
      absent.replaceChildren(el("p", {}, "There is no job at this address, or it is not yours to see."), el("p", {}, el("a", { href: shell.back }, "See all jobs")));
    },
  });

  return {
    node,
    focus: () => heading.focus({ preventScroll: true }),
    tick(now) {
      facts.tick(now);
      events.tick(now);
      workers.tick(now);
      if (job && !why.hidden) explain();
    },
    refresh() {
      watch.refresh();
      events.read();
      items.read();
    },
    close() {
      watch.close();
      items.close();
      course.close();
      node.remove();
    },
  };
}

function json(title) {
  const value = el("pre", { tabindex: 0, "aria-label": title });
  const node = el("section", { hidden: true }, el("h2", {}, title), value);
  return {
    node,
    show(given) {
      const isEmpty = given === null || given === undefined || (typeof given === "object" && Object.keys(given).length === 0);
      node.hidden = isEmpty;
      text(value, isEmpty ? "" : JSON.stringify(given, null, 2));
    },
  };
}
