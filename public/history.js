// What has ended: figures, trends, kinds, errors and the jobs themselves, of a range of time.

import { ring } from "./bar.js";
import { afterPause, attribute, el, text } from "./dom.js";
import { exportButton } from "./export.js";
import { trends } from "./trends.js";
import * as words from "./words.js";

const PAGE = 50;
const DAY_MS = 86_400_000;
const TOOK_TOO_LONG = "57014"; // Postgres ends what takes longer than the 8 s that Supabase gives a user's question
const RANGES = { "1d": ["Last 24 hours", 1], "7d": ["Last 7 days", 7], "30d": ["Last 30 days", 30], "90d": ["Last 90 days", 90] };
const OWN = "own";
const OUTCOMES = ["completed", "failed", "canceled"];
const ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone;
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/**
 * @param {object} session {client, tenantId}
 * @param {object} shell {fail, say, title, go}
 */
export function historyView({ client, tenantId }, shell) {
  const database = client.schema("milepost");
  let asked = {}; // the filter as the address says it
  let question = 0; // an answer to an earlier one is thrown away
  let next = null;
  let total = null;
  let failure = null;
  let isShown = false;

  const heading = el("h1", { tabindex: -1 }, "History");
  const filters = makeFilters((wanted) => shell.go(`#/history${query(wanted)}`, { replace: true }));
  const figures = makeFigures();
  const charts = trends();
  const kinds = makeKinds((kind) => shell.go(`#/history${query({ ...asked, kind: asked.kind === kind ? "" : kind })}`, { replace: true }));
  const patterns = makePatterns();
  const jobs = el("ol", { class: "runs", "aria-labelledby": "runs" });
  const more = el("button", { type: "button", class: "more", hidden: true, on: { click: showMore } }, "Show more");
  const download = exportButton(() => {
    const wanted = asked;
    return { ask: (page) => list(wanted, page), total, name: fileName(wanted) };
  }, shell);
  const found = el("div", { hidden: true }, figures.node, charts.node, kinds.node, patterns.node,
    el("div", { class: "heading" }, el("h2", { id: "runs" }, "Jobs"), download.node), jobs, more);
  const empty = el("div", { class: "empty" });
  const node = el("section", { class: "past", "aria-busy": true }, heading, filters.node, empty, found);

  async function call(rpc, args) {
    const { data, error, status } = await database.rpc(rpc, { tenant_id: tenantId, ...args });
    if (error) throw Object.assign(new Error(error.message), { code: error.code, status });
    return data;
  }

  const list = (wanted, page) => call("list_finished_jobs", { ...filterOf(wanted).args, ...page });

  async function read() {
    const mine = ++question;
    const { args, days } = filterOf(asked);
    const by = days <= 3 ? "hour" : "day";
    attribute(node, "aria-busy", true);
    if (!isShown) say("Loading…");
    try {
      const [stats, byKind, page] = await Promise.all([
        call("job_history_stats", { ...args, by, zone: ZONE }),
        call("job_history_stats", { ...args, kind: null, by: "kind" }),
        list(asked, { limit: PAGE, after: null }),
      ]);
      if (mine !== question) return;
      failure = null;
      show(stats, byKind, page, by);
    } catch (error) {
      if (mine !== question) return;
      failure = error;
      found.hidden = true;
      isShown = false;
      const words = error.code === TOOK_TOO_LONG ? "More jobs ended in this time than can be counted at once: choose a shorter one." : error.message;
      say("The history cannot be read.", words, el("button", { type: "button", on: { click: read } }, "Try again"));
      shell.fail(error);
    }
    attribute(node, "aria-busy", false);
  }

  function show(stats, byKind, page, by) {
    total = stats.total.runs;
    filters.kinds(byKind.groups.map(({ kind }) => kind));
    found.hidden = total === 0;
    isShown = total > 0;
    if (total === 0) {
      const isFiltered = asked.kind || asked.state || asked.q;
      say("No job ended so.", isFiltered ? "Choose a longer time, or clear the filters." : "Choose a longer time. Jobs appear here once they have completed, failed or been canceled.");
      shell.say("No job ended so.");
      return;
    }
    empty.hidden = true;
    figures.show(stats.total);
    charts.show(stats.groups, by);
    kinds.show(byKind.groups, asked.kind);
    patterns.show(stats.errors);
    jobs.replaceChildren();
    add(page);
    shell.say(`${words.count(total)} jobs ended in this time.`);
  }

  function add(page) {
    next = page.next;
    more.hidden = next === null;
    jobs.append(...page.jobs.map(row));
  }

  function say(said, hint, ...rest) {
    empty.hidden = false;
    empty.replaceChildren(el("p", { class: "said" }, said), ...(hint ? [el("p", {}, hint)] : []), ...rest);
  }

  async function showMore() {
    const mine = question;
    const before = jobs.children.length;
    more.disabled = true;
    try {
      const page = await list(asked, { limit: PAGE, after: next });
      if (mine === question) {
        add(page);
        // The keyboard goes on where the list goes on.
        jobs.children[before]?.querySelector("a").focus({ preventScroll: true });
      }
    } catch (error) {
      shell.say(`More jobs cannot be read: ${error.message}`);
      shell.fail(error);
    }
    more.disabled = false;
  }

  return {
    node,
    show(parameters) {
      shell.title("History · Milepost");
      const isSame = query(parameters) === query(asked) && question > 0;
      if (isSame) return;
      asked = parameters;
      filters.show(asked);
      read();
    },
    focus: () => heading.focus({ preventScroll: true }),
    focusSearch: filters.focusSearch,
    /** History stays as it was read: only what could not be read is asked for again. */
    refresh() {
      if (failure) read();
    },
    close() {
      question += 1;
      download.close();
      charts.close();
      node.remove();
    },
  };
}

function row(job) {
  const state = ring();
  state.show(job);
  const about = [job.name === job.job ? null : job.job, job.kind === "default" ? null : job.kind, job.error ?? job.message].filter(Boolean).join(" · ");
  return el("li", { "data-state": job.state },
    state.node,
    el("span", { class: "what" }, el("a", { href: `#/jobs/${job.job_id}` }, job.name), el("span", { class: "sub" }, about)),
    el("span", { class: "count" }, el("span", {}, words.settled(job)), el("span", { class: "sub" }, job.items_failed > 0 ? `${words.count(job.items_failed)} failed` : words.rate(job.rate_per_s, job.unit))),
    el("span", { class: "took end" }, el("span", {}, words.duration(job.time_processing_ms)), el("span", { class: "sub" }, "active time")),
    el("span", { class: "state end" }, el("span", { class: "said" }, words.STATES[job.state]),
      el("time", { class: "sub", datetime: job.finished_at, title: words.exactly(job.finished_at) }, short.format(Date.parse(job.finished_at)))));
}

function makeFilters(change) {
  let asked = {};
  // What is typed counts at once, also where something else is chosen before the pause after it is over.
  // Known here at once: the address is answered a moment later, and another field may change before.
  const changed = (more) => {
    asked = { ...asked, q: search.value.trim(), ...more };
    change(asked);
  };
  const set = (name) => (event) => changed({ [name]: event.target.value });
  const search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search finished jobs", autocomplete: "off", spellcheck: "false",
    on: { input: afterPause(250, () => changed({})) } });
  const select = (label, any, options, on) => el("select", { "aria-label": label, on: { change: on } }, any && el("option", { value: "" }, any), ...options.map(([value, said]) => el("option", { value }, said)));
  const range = select("Time", null, [...Object.entries(RANGES).map(([value, [label]]) => [value, label]), [OWN, "Own dates"]], () => {
    if (range.value !== OWN) return changed({ range: range.value, since: "", until: "" });
    changed({ range: "", since: inputDate(daysAgo(Date.now(), 29)), until: inputDate(Date.now()) });
  });
  const date = (name, label) => {
    const input = el("input", { type: "date", on: { change: set(name) } });
    return [input, el("label", { hidden: true }, label, input)];
  };
  const [since, sinceLabel] = date("since", "From");
  const [until, untilLabel] = date("until", "To");
  const kind = select("Kind", "Any kind", [], set("kind"));
  const state = select("Outcome", "Any outcome", OUTCOMES.map((value) => [value, words.STATES[value]]), set("state"));
  const clear = el("button", { type: "button", class: "quiet", hidden: true, on: { click: () => change({}) } }, "Clear");
  const known = new Set();

  function kinds(seen) {
    for (const name of seen) {
      if (!name || known.has(name)) continue;
      known.add(name);
      const after = [...kind.options].slice(1).find((option) => option.value > name) ?? null;
      kind.insertBefore(el("option", { value: name }, name), after);
    }
  }

  return {
    node: el("form", { class: "filters", role: "search", "aria-label": "History", on: { submit: (event) => event.preventDefault() } },
      search, range, sinceLabel, untilLabel, kind, state, clear),
    kinds,
    show(wanted) {
      asked = wanted;
      kinds([asked.kind]);
      if (search.value.trim() !== (asked.q ?? "")) search.value = asked.q ?? "";
      const isOwn = Boolean(asked.since || asked.until);
      range.value = isOwn ? OWN : asked.range in RANGES ? asked.range : "30d";
      sinceLabel.hidden = untilLabel.hidden = !isOwn;
      since.value = asked.since ?? "";
      until.value = asked.until ?? "";
      kind.value = asked.kind ?? "";
      state.value = asked.state ?? "";
      clear.hidden = !Object.values(asked).some(Boolean);
    },
    focusSearch: () => search.focus(),
  };
}

function makeFigures() {
  const value = () => el("dd", { class: "value" });
  const facts = { runs: "Jobs ended", failed: "Failure rate", took: "Duration, median", fast: "Throughput, median", items: "Items" };
  const shown = Object.fromEntries(Object.keys(facts).map((name) => [name, [value(), el("dd", { class: "more" })]]));
  const tell = (name, said, rest) => {
    text(shown[name][0], said);
    text(shown[name][1], rest);
  };
  return {
    node: el("div", { class: "overview" }, el("dl", { class: "facts" }, ...Object.entries(facts).map(([name, label]) => el("div", { "data-fact": name }, el("dt", {}, label), ...shown[name])))),
    show(total) {
      tell("runs", words.count(total.runs), `${words.count(total.completed)} completed`);
      tell("failed", percent(total.failure_rate), `${words.count(total.failed)} failed, ${words.count(total.canceled)} canceled`);
      tell("took", words.duration(total.duration_p50_ms), `p95 ${words.duration(total.duration_p95_ms)}`);
      tell("fast", words.rate(total.items_per_s_p50, "items"), "of completed jobs");
      tell("items", words.count(total.items_completed), `${words.count(total.items_failed)} failed`);
    },
  };
}

/** A table whose kinds choose what the rest of the page is about. */
function makeKinds(choose) {
  const heads = ["Kind", "Jobs", "Failed", "Median", "p95", "Throughput", "Finish time off by", "Range held"];
  const body = el("tbody");
  const node = el("div", { class: "kinds" }, el("h2", {}, "Kinds"),
    el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Kinds" },
      el("table", {}, el("thead", {}, el("tr", {}, heads.map((head, n) => el("th", { scope: "col", class: n ? "number" : null }, head)))), body)));
  return {
    node,
    show(groups, chosen) {
      body.replaceChildren(...groups.map((group) => {
        const eta = group.eta_accuracy;
        const figures = [words.count(group.runs), percent(group.failure_rate), words.duration(group.duration_p50_ms), words.duration(group.duration_p95_ms),
          words.rate(group.items_per_s_p50, "items"), eta ? `± ${percent(Math.expm1(eta.median_error))}` : words.UNKNOWN, percent(eta?.coverage)];
        const isChosen = group.kind === chosen;
        return el("tr", { "aria-current": isChosen && "true" },
          el("th", { scope: "row" }, el("button", { type: "button", "aria-pressed": String(isChosen), on: { click: () => choose(group.kind) } }, group.kind)),
          figures.map((said) => el("td", { class: "number" }, said)));
      }));
    },
  };
}

function makePatterns() {
  const list = el("ol", { class: "patterns", "aria-labelledby": "patterns" });
  const node = el("div", {}, el("h2", { id: "patterns" }, "Errors that have something in common"), list);
  return {
    node,
    show(errors) {
      node.hidden = errors.length === 0;
      list.replaceChildren(...errors.map((error) => el("li", {},
        el("span", { class: "times" }, `${words.count(error.count)} ×`),
        el("code", {}, error.pattern || "without a text"),
        el("span", { class: "last" }, "last in ", el("a", { href: `#/jobs/${error.last_job_id}` }, error.last_job)),
        error.example === error.pattern ? null : el("span", { class: "sub" }, error.example.slice(0, 300)))));
    },
  };
}

const percent = (share) => words.percent(share === null || share === undefined ? null : share * 100);

function query(filter) {
  const given = Object.entries(filter).filter(([, value]) => value).sort();
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

/** What the database is asked: whole days of the reader's zone, today included. */
function filterOf({ range, since, until, kind, state, q }) {
  const now = Date.now();
  const days = RANGES[range]?.[1] ?? 30;
  // What is no date in the address is none.
  const midnight = (text) => (text && !Number.isNaN(Date.parse(`${text}T00:00:00`)) ? new Date(`${text}T00:00:00`) : null);
  const isOwn = since || until;
  const end = isOwn ? midnight(until) : null;
  // "To" names a day that is meant as a whole.
  if (end) end.setDate(end.getDate() + 1);
  const begin = isOwn ? midnight(since) : days === 1 ? new Date(now - DAY_MS) : daysAgo(now, days - 1);
  const from = begin ?? daysAgo(end?.getTime() ?? now, 29);
  return {
    args: { since: from.toISOString(), until: end?.toISOString() ?? null, kind: kind ? [kind] : null, state: state ? state.split(",") : null, q: q || null },
    days: ((end?.getTime() ?? now) - from) / DAY_MS,
  };
}

/** The midnight so many days before. */
function daysAgo(ms, days) {
  const at = new Date(ms);
  at.setHours(0, 0, 0, 0);
  at.setDate(at.getDate() - days);
  return at;
}

function inputDate(at) {
  const date = new Date(at);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

function fileName(asked) {
  const parts = [asked.kind, asked.state, asked.since || asked.until ? `${asked.since ?? ""}_${asked.until ?? ""}` : (asked.range ?? "30d")];
  return `milepost-${parts.filter(Boolean).join("-").replace(/[^\w.-]+/g, "_")}.csv`;
}
