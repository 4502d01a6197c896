// The tenant's jobs: counters, filters, and one row a job that moves by itself.

import { afterPause, attribute, eachFrame, el, spoken, text } from "./dom.js";
import { bar, ring } from "./bar.js";
import { watchTenant } from "./milepost.js";
import * as words from "./words.js";

const PAGE = 100;
const COUNTERS_MS = 1000;

// Each answers one question; together they are every state.
const GROUPS = {
  running: ["Running", ["running", "completing", "pausing", "canceling"]],
  waiting: ["Waiting", ["pending", "retrying"]],
  paused: ["Paused", ["paused"]],
  completed: ["Completed", ["completed"]],
  failed: ["Failed", ["failed"]],
  canceled: ["Canceled", ["canceled"]],
};
const STUCK = ["stalled", "lost"];

/**
 * @param {object} session {client, tenantId}
 * @param {object} shell {status, say, fail, title, go}
 */
export function listView({ client, tenantId }, shell) {
  const rows = new Map(); // job_id -> row
  let asked = {}; // the filter as the address says it
  let isShown = false;
  let failure = null;

  const list = el("ol", { class: "jobs", "aria-label": "Jobs" });
  const more = el("button", { type: "button", class: "more", hidden: true, on: { click: showMore } }, "Show more");
  const empty = el("div", { class: "empty", hidden: true });
  const heading = el("h1", { tabindex: -1, class: "spoken" }, "Jobs");
  const counters = makeCounters(client, tenantId);
  const filters = makeFilters(change);
  const head = el("div", { class: "heads", "aria-hidden": true },
    ...["", "Job", "Progress", "Rate", "Time left", "State", "Updated"].map((title) => el("span", {}, title)));
  const node = el("section", { class: "list", hidden: true }, heading, counters.node, filters.node, head, list, empty, more);

  const dirty = new Set();
  const paint = eachFrame(() => {
    if (!isShown) return;
    let isOrdered = true;
    for (const id of dirty) {
      const job = watch.job(id);
      if (!job) {
        rows.get(id)?.node.remove();
        rows.delete(id);
      } else if (rows.has(id)) rows.get(id).show(job);
      else isOrdered = false;
    }
    dirty.clear();
    if (!isOrdered) arrange();
    tellWhole();
  });

  /** Puts every row where it belongs, moving only those that are elsewhere. */
  function arrange() {
    let place = list.firstElementChild;
    const jobs = watch.jobs;
    filters.kinds(jobs.map(({ kind }) => kind));
    for (const job of jobs) {
      let row = rows.get(job.job_id);
      if (!row) {
        row = makeRow(job);
        rows.set(job.job_id, row);
      }
      if (row.node === place) place = place.nextElementSibling;
      else list.insertBefore(row.node, place);
    }
  }

  function tellWhole() {
    more.hidden = !watch.hasMore;
    head.hidden = rows.size === 0;
    empty.hidden = rows.size > 0;
    if (!empty.hidden) drawEmpty();
    title();
  }

  function drawEmpty() {
    const isFiltered = Object.values(asked).some(Boolean);
    const [said, ...hints] = failure && !watch.loaded
      ? ["The jobs cannot be read.", `${failure.message} It is tried again by itself.`]
      : !watch.loaded
        ? ["Loading…"]
        : isFiltered
          ? ["No job matches.", "Change the filters, or clear them to see every job."]
          : ["No jobs yet.", "A job appears here with its first checkpoint. With a worker key, one line is enough:"];
    const command = `curl ${shell.apiUrl}/v1/checkpoints -H "Authorization: Bearer $MILEPOST_KEY" -H "Content-Type: application/json" -d '{"job": "my-first-job", "items_total": 10, "items_completed": 3}'`;
    empty.replaceChildren(el("p", { class: "said" }, said), ...hints.map((hint) => el("p", {}, hint)),
      ...(watch.loaded && !isFiltered ? [el("pre", { tabindex: 0, "aria-label": "Example command" }, command)] : []));
  }

  async function showMore() {
    more.disabled = true;
    const before = rows.size;
    try {
      await watch.more();
    } catch (error) {
      shell.fail(error);
    }
    more.disabled = false;
    // The keyboard goes on where the list goes on.
    requestAnimationFrame(() => list.children[before]?.querySelector("a").focus({ preventScroll: true }));
  }

  function change(wanted) {
    shell.go(`#/${query(wanted)}`, { replace: true });
  }

  function ask(wanted) {
    if (query(wanted) === query(asked) && watch) return;
    asked = wanted;
    filters.show(asked);
    counters.mark(asked);
    rows.clear();
    list.replaceChildren();
    watch?.setFilter(filterOf(asked));
    if (watch) tellWhole();
  }

  function title() {
    if (isShown) shell.title(counters.running === null ? "Milepost" : `${words.count(counters.running)} running · Milepost`);
  }

  let watch = null;
  watch = watchTenant(client, tenantId, {
    pageSize: PAGE,
    onChange({ changed, removed }) {
      failure = null;
      for (const id of [...changed, ...removed]) dirty.add(id);
      paint();
    },
    onEvent({ type }) {
      if (type !== "job.progress" && type.startsWith("job.")) counters.read();
    },
    onStatus: shell.status,
    onError(error) {
      failure = error;
      shell.fail(error);
      paint();
    },
  });
  counters.onChange(title);

  return {
    node,
    show(parameters) {
      isShown = true;
      node.hidden = false;
      ask(parameters);
      for (const { job_id } of watch.jobs) dirty.add(job_id);
      paint();
      title();
    },
    hide() {
      isShown = false;
      node.hidden = true;
    },
    focus(id) {
      const link = rows.get(id)?.node.querySelector("a");
      (link ?? heading).focus({ preventScroll: true });
    },
    focusSearch: filters.focusSearch,
    tick(now) {
      if (isShown) for (const row of rows.values()) row.tick(now);
    },
    refresh() {
      watch.refresh();
      counters.read();
    },
    close() {
      watch.close();
      counters.close();
      node.remove();
    },
  };
}

function makeRow(first) {
  const link = el("a", { href: `#/jobs/${first.job_id}` });
  const sub = el("span", { class: "sub" });
  const progress = bar(`Progress of ${first.name}`);
  const state = ring();
  const [percent, counts, rate, left, range, said, mood, updated] = Array.from({ length: 8 }, () => el("span"));
  const time = el("time");
  percent.className = "percent";
  said.className = "said";
  for (const line of [counts, range, mood]) line.className = "sub";
  updated.append(spoken("Updated "), time);
  const node = el("li", { class: "job" },
    state.node,
    el("span", { class: "what" }, link, sub),
    el("span", { class: "progress" }, percent, progress.node, counts),
    el("span", { class: "rate" }, rate),
    el("span", { class: "left" }, left, range),
    el("span", { class: "state" }, said, mood),
    el("span", { class: "updated" }, updated),
  );
  let at = null;
  let againAt = 0; // when "3 min ago" is no longer true

  const row = {
    node,
    show(job) {
      attribute(node, "data-state", job.state);
      attribute(node, "data-liveness", job.liveness);
      state.show(job);
      text(link, job.name);
      text(sub, [job.name === job.job ? null : job.job, job.kind === "default" ? null : job.kind, job.error ?? job.message].filter(Boolean).join(" · "));
      progress.show(job, job.unit);
      text(percent, words.percent(job.percent_complete));
      text(counts, words.settled(job) + (job.items_failed > 0 ? ` · ${words.count(job.items_failed)} failed` : ""));
      text(rate, words.rate(job.rate_per_s, job.unit));
      const eta = words.timeLeft(job);
      text(left, eta.said);
      text(range, eta.more);
      text(said, words.STATES[job.state]);
      text(mood, moodOf(job));
      at = job.finished_at ?? job.last_checkpoint_at ?? job.created_at;
      attribute(time, "datetime", at);
      attribute(time, "title", words.exactly(at));
      againAt = 0;
      row.tick(Date.now());
    },
    tick(now) {
      if (now < againAt) return;
      text(time, words.ago(at, now));
      againAt = now + (now - Date.parse(at) < 60_000 ? 900 : 20_000);
    },
  };
  row.show(first);
  return row;
}

function moodOf(job) {
  if (job.rate_limited) return "rate limited";
  if (words.AT_WORK.has(job.state)) return `${words.LIVENESS[job.liveness].toLowerCase()} · ${words.HEALTH[job.health]}`;
  return job.attempt > 1 ? `attempt ${job.attempt}` : "";
}

function makeFilters(change) {
  let asked = {};
  const given = (name) => (event) => change({ ...asked, [name]: event.target.value });
  const typed = afterPause(250, () => change({ ...asked, q: search.value.trim() }));
  const search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search jobs", autocomplete: "off", spellcheck: "false", on: { input: typed } });
  const choice = (name, label, any, options) => {
    const select = el("select", { "aria-label": label, on: { change: given(name) } }, el("option", { value: "" }, any));
    for (const [value, said] of options) select.append(el("option", { value }, said));
    return select;
  };
  const state = choice("state", "State", "Any state", Object.entries(GROUPS).map(([value, [label]]) => [value, label]));
  const liveness = choice("liveness", "Liveness", "Any liveness", [["on_time", "On time"], ["late", "Late"], ["stuck", "Stalled or lost"]]);
  const kind = choice("kind", "Kind", "Any kind", []);
  const clear = el("button", { type: "button", class: "quiet", hidden: true, on: { click: () => change({}) } }, "Clear");
  const known = new Set();

  function kinds(seen) {
    for (const name of new Set(seen)) {
      if (!name || known.has(name)) continue;
      known.add(name);
      const after = [...kind.options].slice(1).find((option) => option.value > name) ?? null;
      kind.insertBefore(el("option", { value: name }, name), after);
    }
  }

  return {
    node: el("form", { class: "filters", role: "search", "aria-label": "Jobs", on: { submit: (event) => event.preventDefault() } }, search, state, kind, liveness, clear),
    kinds,
    show(wanted) {
      asked = wanted;
      kinds([asked.kind]);
      if (search.value.trim() !== (asked.q ?? "")) search.value = asked.q ?? "";
      state.value = asked.state ?? "";
      kind.value = asked.kind ?? "";
      liveness.value = asked.liveness ?? "";
      clear.hidden = !Object.values(asked).some(Boolean);
    },
    focusSearch: () => search.focus(),
  };
}

/** What needs somebody, in four figures that are filters too. */
function makeCounters(client, tenantId) {
  const jobs = () => client.schema("milepost").from("jobs").select("job_id", { count: "exact", head: true }).eq("tenant_id", tenantId);
  const questions = {
    running: ["Running", { state: "running" }, () => jobs().in("state", GROUPS.running[1])],
    waiting: ["Waiting", { state: "waiting" }, () => jobs().in("state", GROUPS.waiting[1])],
    stuck: ["Stuck", { liveness: "stuck" }, () =>
      client.schema("milepost").from("job_progress").select("job_id", { count: "exact", head: true })
        .eq("tenant_id", tenantId).is("finished_at", null).in("liveness", STUCK)],
    failed: ["Failed today", { state: "failed" }, () => jobs().eq("state", "failed").gte("finished_at", new Date(new Date().setHours(0, 0, 0, 0)).toISOString())],
  };
  const figures = {};
  const links = {};
  let told = () => {};
  let timer = null;
  let isReading = false;
  let isDue = false;
  const node = el("nav", { class: "counters", "aria-label": "Counters" });
  for (const [name, [label, filter]] of Object.entries(questions)) {
    const figure = el("span", { class: "figure" }, words.UNKNOWN);
    figures[name] = { node: figure, value: null };
    links[name] = el("a", { href: `#/${query(filter)}`, "data-counter": name }, figure, el("span", { class: "label" }, label));
    node.append(links[name]);
  }

  async function readNow() {
    timer = null;
    isReading = true;
    isDue = false;
    await Promise.all(Object.entries(questions).map(async ([name, [, , ask]]) => {
      const { count, error } = await ask();
      // A count that cannot be had is unknown; the list says why.
      figures[name].value = error ? null : count;
      text(figures[name].node, words.count(figures[name].value));
      attribute(links[name], "data-some", count > 0);
    }));
    isReading = false;
    told();
    if (isDue) read();
  }

  /** Soon, however many events ask for it. */
  function read() {
    isDue = true;
    if (!isReading) timer ??= setTimeout(readNow, COUNTERS_MS);
  }

  // Stuck is found by time passing, not by an event.
  const regularly = setInterval(read, 15_000);
  readNow();
  return {
    node,
    read,
    get running() {
      return figures.running.value;
    },
    onChange(tell) {
      told = tell;
    },
    mark(asked) {
      for (const [name, [, filter]] of Object.entries(questions)) {
        attribute(links[name], "aria-current", query(filter) === query(asked) && "true");
      }
    },
    close() {
      clearInterval(regularly);
      clearTimeout(timer);
    },
  };
}

function query(filter) {
  const given = Object.entries(filter).filter(([, value]) => value).sort();
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

function filterOf({ state, kind, liveness, q }) {
  return {
    state: state ? (GROUPS[state]?.[1] ?? state.split(",")) : [],
    kind: kind ? [kind] : [],
    liveness: liveness === "stuck" ? STUCK : liveness ? [liveness] : [],
    q,
  };
}
