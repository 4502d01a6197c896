// The tenant's jobs: counters, filters, and one row a job that moves by itself.

import { attribute, eachFrame, el, text } from "./dom.js";
import { makeCounters } from "./counters.js";
import { filterOf, fold, folded, isNarrowed, makeFilters, query } from "./filters.js";
import { watchTenant } from "./milepost.js";
import { tellOfEnd } from "./notify.js";
import { groupRow, jobRow } from "./row.js";
import { windowed } from "./window.js";
import * as words from "./words.js";

const PAGE = 100;
const ORDER_AGAIN_MS = 5000; // rows that changed places every second could not be read

// How jobs compare where age does not decide; as the database ranks them.
const ORDERS = {
  finishing: (job) => job.eta_ms ?? Infinity,
  attention(job) {
    if (["lost", "stalled"].includes(job.liveness)) return 0;
    if (job.liveness === "late") return 1;
    if (job.rate_limited || ["fair", "poor"].includes(job.health)) return 2;
    if (job.state === "retrying") return 3;
    return ["paused", "pausing", "canceling"].includes(job.state) ? 4 : 5;
  },
};

/**
 * @param {object} session {client, tenantId, userId}
 * @param {object} shell {status, say, fail, title, go}
 */
export function listView(session, shell) {
  const { client, tenantId, userId } = session;
  let asked = null; // what the address says
  let isShown = false;
  let failure = null;
  let orderedAt = 0;
  let isLoadingMore = false;
  let listed = 0;

  const list = el("ol", { class: "jobs", "aria-label": "Jobs" });
  const more = el("button", { type: "button", class: "more", hidden: true, on: { click: loadMore } }, "Show more");
  const empty = el("div", { class: "empty", hidden: true });
  const heading = el("h1", { tabindex: -1, class: "spoken" }, "Jobs");
  const sorted = el("p", { class: "sorted", hidden: true }, "Sorted lists show active jobs only.");
  const filters = makeFilters((wanted) => shell.go(`#/${query(wanted)}`, { replace: true }));
  const counters = makeCounters(session, () => {
    filters.kinds(counters.figures?.kinds.map(({ kind }) => kind) ?? []);
    if (asked.group) arrange();
    title();
  }, shell.fail);
  const head = el("div", { class: "heads", "aria-hidden": true },
    ...["", "Job", "Progress", "Rate", "Time left", "State", "Updated"].map((name) => el("span", {}, name)));
  const node = el("section", { class: "list", hidden: true }, heading, counters.node, filters.node, sorted, head, list, empty, more);

  const rows = windowed(list, {
    make: (entry) => (entry.job_id ? jobRow(watch.job(entry.job_id) ?? entry) : groupRow(entry, toggle)),
    id: (entry) => entry.job_id ?? `kind ${entry.kind}`,
    height: (entry) => (entry.job_id ? sizes.job : sizes.group),
    // Folded away, a page may be a single line: all would be loaded at once.
    nearEnd: () => !failure && !asked.group && loadMore(),
  });
  let sizes = readSizes();

  function readSizes() {
    const style = getComputedStyle(document.documentElement);
    return { job: parseFloat(style.getPropertyValue("--row")), group: parseFloat(style.getPropertyValue("--group")) };
  }

  const dirty = new Set();
  let isOrderDue = false;
  const paint = eachFrame(() => {
    if (!isShown) return;
    for (const id of dirty) {
      const job = watch.job(id);
      if (job && rows.has(id)) rows.row(id)?.show(job);
      else if (job || rows.has(id)) isOrderDue = true;
    }
    dirty.clear();
    if (isOrderDue) arrange();
    tellWhole();
  });

  /** Puts every job where it belongs. */
  function arrange() {
    // Until the answer to a new question is there, the old one stays, without a flash of nothing.
    isOrderDue = !watch.loaded && listed > 0 && !failure;
    attribute(list, "aria-busy", isOrderDue && "true");
    if (isOrderDue) return;
    orderedAt = Date.now();
    const jobs = watch.jobs;
    listed = jobs.length;
    const rank = ORDERS[asked.sort];
    if (rank) {
      // Sorting keeps the order of equals, which is by age.
      const ranks = new Map(jobs.map((job) => [job.job_id, rank(job)]));
      jobs.sort((a, b) => ranks.get(a.job_id) - ranks.get(b.job_id) || 0);
    }
    filters.kinds(new Set(jobs.map(({ kind }) => kind)));
    rows.set(asked.group ? grouped(jobs) : jobs);
    for (const row of rows.rows) if (row.node.className === "group") row.show(groups.get(row.node.dataset.id));
  }

  let groups = new Map();
  function grouped(jobs) {
    const hidden = folded(asked);
    const figures = new Map(counters.figures?.kinds.map((one) => [one.kind, one]));
    const kinds = new Map(jobs.map(({ kind }) => [kind, []]));
    for (const job of jobs) kinds.get(job.kind).push(job);
    const entries = [];
    groups = new Map();
    for (const kind of [...kinds.keys()].sort()) {
      const group = { kind, listed: kinds.get(kind).length, isFolded: hidden.has(kind), of: figures.get(kind) };
      groups.set(`kind ${kind}`, group);
      entries.push(group, ...(group.isFolded ? [] : kinds.get(kind)));
    }
    return entries;
  }

  function toggle(kind) {
    const kinds = folded(asked);
    if (!kinds.delete(kind)) kinds.add(kind);
    shell.go(`#/${query({ ...asked, fold: fold(kinds) })}`, { replace: true });
  }

  function tellWhole() {
    more.hidden = !watch.hasMore;
    const isEmpty = listed === 0;
    head.hidden = isEmpty;
    empty.hidden = !isEmpty;
    if (isEmpty) drawEmpty();
    title();
  }

  function drawEmpty() {
    const isFiltered = isNarrowed(asked);
    const [said, ...hints] = failure && !watch.loaded
      ? ["The jobs cannot be read.", `${failure.message} It is tried again by itself.`]
      : !watch.loaded
        ? ["Loading…"]
        : isFiltered
          ? ["No job matches.", "Change the filters, or clear them to see every job."]
          : asked.sort
            ? ["No job is active.", "Sort by newest first to see those that ended."]
            : ["No jobs yet.", "A job appears here with its first checkpoint. With a worker key, one line is enough:"];
    const command = `curl ${shell.apiUrl}/v1/checkpoints -H "Authorization: Bearer $MILEPOST_KEY" -H "Content-Type: application/json" -d '{"job": "my-first-job", "items_total": 10, "items_completed": 3}'`;
    const isFirst = watch.loaded && !isFiltered && !asked.sort;
    if (empty.firstChild?.textContent === said && !failure) return;
    empty.replaceChildren(el("p", { class: "said" }, said), ...hints.map((hint) => el("p", {}, hint)),
      ...(isFirst ? [el("pre", { tabindex: 0, "aria-label": "Example command" }, command)] : []));
  }

  async function loadMore() {
    if (!watch?.hasMore || isLoadingMore) return;
    isLoadingMore = true;
    text(more, "Loading more…");
    try {
      await watch.more();
      failure = null;
    } catch (error) {
      failure = error;
      shell.fail(error);
    }
    isLoadingMore = false;
    text(more, failure ? "Show more did not work. Try again" : "Show more");
    paint();
  }

  function ask(wanted) {
    const filter = (what) => JSON.stringify(filterOf(what, userId));
    const isSame = asked && filter(asked) === filter(wanted);
    asked = wanted;
    filters.show(asked);
    counters.mark(asked);
    sorted.hidden = !asked.sort;
    if (!watch) open();
    else if (!isSame) watch.setFilter(filterOf(asked, userId));
    isOrderDue = true;
  }

  function title() {
    const running = counters.figures?.running;
    if (isShown) shell.title(running === undefined ? "Milepost" : `${words.count(running)} running · Milepost`);
  }

  let watch = null;
  function open() {
    watch = watchTenant(client, tenantId, {
      apiUrl: shell.apiUrl,
      pageSize: PAGE,
      filter: filterOf(asked, userId),
      onChange({ changed, removed }) {
        failure = null;
        for (const id of changed) {
          const job = watch.job(id);
          if (job) tellOfEnd(job);
        }
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
  }

  function resized() {
    sizes = readSizes();
    isOrderDue = true;
    paint();
  }
  addEventListener("resize", resized);

  return {
    node,
    show(parameters) {
      isShown = true;
      node.hidden = false;
      ask(parameters);
      for (const { job_id } of watch.jobs) dirty.add(job_id);
      arrange();
      paint();
      title();
    },
    hide() {
      isShown = false;
      node.hidden = true;
    },
    focus(id) {
      (rows.reveal(id) ? rows.row(id).node.querySelector("a") : heading).focus({ preventScroll: true });
    },
    focusSearch: filters.focusSearch,
    step: (by) => rows.step(by, (row) => row.querySelector("a, button")),
    tick(now) {
      if (!isShown) return;
      for (const row of rows.rows) row.tick(now);
      if (asked.sort && now - orderedAt > ORDER_AGAIN_MS) arrange();
    },
    refresh() {
      watch.refresh();
      counters.read();
    },
    close() {
      removeEventListener("resize", resized);
      watch.close();
      counters.close();
      rows.close();
      node.remove();
    },
  };
}
