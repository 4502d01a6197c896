// One job: how far, until when, and what of it needs somebody.

import { attribute, eachFrame, el, text } from "./dom.js";
import { bar, ring } from "./bar.js";
import { controls } from "./controls.js";
import { itemsTable } from "./items.js";
import { eventList } from "./events.js";
import { watchJob } from "./milepost.js";
import { shareButton } from "./share.js";
import * as words from "./words.js";

const EXPLAIN_AGAIN_MS = 10_000;

/**
 * @param {object} session {client, userId, role}
 * @param {object} shell {status, say, fail, title}
 * @param {string} jobId
 */
export function jobView({ client, userId, role }, shell, jobId) {
  const database = client.schema("milepost");
  const heading = el("h1", { tabindex: -1 }, "Loading…");
  const state = ring();
  const chips = el("p", { class: "chips" });
  const identity = el("p", { class: "identity" });
  const percent = el("span", { class: "percent" });
  const progress = bar("Progress");
  const counts = el("p", { class: "counts" });
  const message = el("p", { class: "message", hidden: true });
  const why = el("p", { class: "why", hidden: true });
  const facts = factList(["Time left", "Finishes", "Rate", "Active time", "Throughput", "Last checkpoint", "Last progress"]);
  const buttons = controls(act);
  buttons.node.firstElementChild.append(shareButton({ client, userId }, shell, jobId));
  const stages = stageLane();
  const workers = workerTable();
  const items = itemsTable(database, jobId, shell.fail);
  const events = eventList(database, jobId, shell.fail);
  const cursor = json("Cursor");
  const metadata = json("Metadata");
  const body = el("div", { class: "body", hidden: true },
    el("div", { class: "overview" },
      el("div", { class: "far" }, percent, progress.node, counts, message),
      facts.node),
    el("div", { class: "parts" },
      el("div", {}, stages.node, workers.node, items.node),
      el("div", {}, events.node, cursor.node, metadata.node)));
  const absent = el("div", { class: "empty", hidden: true });
  const node = el("article", { class: "one" },
    el("nav", { "aria-label": "Breadcrumb" }, el("a", { href: "#/", class: "back" }, "Jobs")),
    el("header", {}, el("div", {}, el("div", { class: "title" }, state.node, heading), chips, identity), buttons.node),
    why, absent, body);

  let job = null;
  let explained = { of: null, at: 0 };
  let announced = null;

  async function act(verb) {
    const { data, error } = await database.rpc(`${verb}_job`, { job_id: jobId });
    if (error) throw error;
    shell.say(`${data.name}: ${words.STATES[data.state].toLowerCase()}.`);
    watch.refresh();
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
    buttons.node.hidden = !(["operator", "admin"].includes(role) || (role && job.owner_id === userId));
    buttons.show(job);
    stages.show(job);
    workers.show(job);
    cursor.show(job.cursor);
    metadata.show(job.metadata);
    shell.title(`${job.percent_complete === null || isOver ? words.STATES[job.state] : words.percent(job.percent_complete)} · ${job.name}`);
    announce();
    explain();
  });

  function drawChips() {
    const said = [[words.STATES[job.state], "state"]];
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
    else text(why, data.summary);
  }

  const watch = watchJob(client, jobId, {
    onChange(changed) {
      job = changed;
      paint();
    },
    onEvent(event) {
      events.hear(event);
      items.hear(event);
    },
    onStatus: shell.status,
    onError(error) {
      if (error.code !== "job_not_found") return shell.fail(error);
      text(heading, "No such job");
      absent.hidden = false;
      body.hidden = true;
      absent.replaceChildren(el("p", {}, "There is no job at this address, or it is not yours to see."), el("p", {}, el("a", { href: "#/" }, "See all jobs")));
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
      node.remove();
    },
  };
}

function factList(names) {
  const entries = new Map(names.map((name) => {
    const label = el("dt", {}, name);
    const value = el("dd", { class: "value" });
    const more = el("dd", { class: "more" });
    return [name, { label, value, more, node: el("div", { "data-fact": name }, label, value, more) }];
  }));
  return {
    node: el("dl", { class: "facts" }, [...entries.values()].map((entry) => entry.node)),
    show(name, value, more) {
      const entry = entries.get(name);
      entry.node.hidden = value === null;
      text(entry.value, value);
      text(entry.more, more);
    },
    time(name, iso, { label = name, ahead = null } = {}) {
      const entry = entries.get(name);
      entry.node.hidden = !iso;
      Object.assign(entry, { iso, ahead });
      text(entry.label, label);
      attribute(entry.value, "title", words.exactly(iso));
      this.tick(Date.now());
    },
    tick(now) {
      for (const { value, more, iso, ahead } of entries.values()) {
        if (!iso) continue;
        const isAhead = Date.parse(iso) > now;
        text(value, isAhead ? words.when(iso, now) : words.ago(iso, now));
        text(more, isAhead ? ahead : words.when(iso, now));
      }
    },
  };
}

/** The stages in their order, each as wide as its weight. */
function stageLane() {
  const rows = new Map();
  const lane = el("ol", { class: "lane" });
  const node = el("section", { class: "stages", hidden: true }, el("h2", {}, "Stages"), lane);

  function make(name) {
    const state = ring();
    const progress = bar(`Progress of stage ${name}`);
    const percent = el("span", { class: "percent" });
    const counts = el("span", { class: "sub" });
    const took = el("span", { class: "sub" });
    return {
      node: el("li", {}, progress.node, el("span", { class: "name" }, state.node, name), percent, took, counts),
      show(stage, unit) {
        attribute(this.node, "data-state", stage.state);
        this.node.style.setProperty("--weight", stage.weight);
        state.show(stage);
        progress.show(stage, unit);
        const isWaiting = stage.state === "pending";
        text(percent, isWaiting && !stage.percent_complete ? "" : words.percent(stage.percent_complete));
        text(counts, isWaiting ? "" : [words.settled({ ...stage, unit }), stage.items_failed > 0 ? `${words.count(stage.items_failed)} failed` : null].filter(Boolean).join(" · "));
        const end = stage.finished_at ? Date.parse(stage.finished_at) : Date.now();
        text(took, [words.STATES[stage.state], stage.started_at ? words.duration(end - Date.parse(stage.started_at)) : null].filter(Boolean).join(" · "));
        attribute(took, "title", stage.started_at ? `Began ${words.exactly(stage.started_at)}` : null);
      },
    };
  }

  return {
    node,
    show({ stages, unit }) {
      node.hidden = stages.length === 0;
      for (const stage of stages) {
        if (!rows.has(stage.name)) {
          rows.set(stage.name, make(stage.name));
          lane.append(rows.get(stage.name).node);
        }
        rows.get(stage.name).show(stage, unit);
      }
    },
  };
}

/** The job's lanes; the one that holds the others up is marked. */
function workerTable() {
  const rows = new Map();
  const bodyRows = el("tbody");
  const node = el("section", { class: "workers", hidden: true }, el("h2", {}, "Workers"),
    el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Workers" },
      el("table", {},
        el("thead", {}, el("tr", {}, ...["Worker", "State", "Done", "Rate", "Last checkpoint"].map((title, n) => el("th", { scope: "col", class: n > 1 ? "number" : null }, title)))),
        bodyRows)));

  function make(name) {
    const mark = el("span", { class: "chip slow", hidden: true }, "slowest");
    const [state, done, rate] = Array.from({ length: 3 }, () => el("td"));
    const time = el("time");
    done.className = rate.className = "number";
    return {
      node: el("tr", {}, el("th", { scope: "row" }, name, " ", mark), state, done, rate, el("td", { class: "number" }, time)),
      show(worker, unit, isSlowest) {
        mark.hidden = !isSlowest;
        text(state, words.STATES[worker.state] ?? worker.state);
        text(done, words.count(worker.items_completed));
        text(rate, words.rate(worker.rate_per_s, unit));
        this.at = worker.last_checkpoint_at;
        attribute(time, "datetime", this.at);
        attribute(time, "title", words.exactly(this.at));
        this.tick(Date.now());
      },
      tick(now) {
        text(time, words.ago(this.at, now));
      },
    };
  }

  return {
    node,
    show({ workers, unit, state }) {
      node.hidden = workers.length === 0;
      const racing = workers.filter((worker) => worker.state === "running" && worker.rate_per_s !== null);
      const slowest = racing.length > 1 && words.AT_WORK.has(state) ? racing.reduce((a, b) => (b.rate_per_s < a.rate_per_s ? b : a)) : null;
      for (const worker of workers) {
        if (!rows.has(worker.worker)) {
          rows.set(worker.worker, make(worker.worker));
          bodyRows.append(rows.get(worker.worker).node);
        }
        rows.get(worker.worker).show(worker, unit, worker === slowest);
      }
    },
    tick(now) {
      for (const row of rows.values()) row.tick(now);
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
