// The items that a job tracks by name.

import { afterPause, attribute, el, text } from "./dom.js";
import * as words from "./words.js";

const PAGE = 50;
const MOST_AT_ONCE = 200; // what the database gives in one page
const READ_AGAIN_MS = 2000;
const STATES = ["pending", "processing", "completed", "failed", "skipped", "canceled"];

/** @returns {{node, hear: (event) => void, read: () => void, close: () => void}} */
export function itemsTable(database, jobId, fail) {
  const rows = new Map(); // stage and key -> row
  let next = null;
  let isClosed = false;
  let asked = 0; // the number of the question that is asked now
  const search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search items", on: { input: afterPause(250, start) } });
  const state = el("select", { "aria-label": "State of items", on: { change: start } }, el("option", { value: "" }, "Any state"), STATES.map((name) => el("option", { value: name }, words.STATES[name])));
  const body = el("tbody");
  const none = el("p", { class: "none", hidden: true }, "No item matches.");
  const more = el("button", { type: "button", class: "more", hidden: true, on: { click: () => load(next) } }, "Show more");
  const node = el("section", { class: "items", hidden: true },
    el("div", { class: "above" }, el("h2", {}, "Items"), el("form", { class: "filters", role: "search", "aria-label": "Items", on: { submit: (event) => event.preventDefault() } }, search, state)),
    el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Items" },
      el("table", {}, el("thead", {}, el("tr", {}, ...["Item", "Stage", "State", "Percent", "Took"].map((title, n) => el("th", { scope: "col", class: n > 2 ? "number" : null }, title)))), body)),
    none, more);
  const readSoon = atMostEvery(READ_AGAIN_MS, () => load(null));

  const isFiltered = () => Boolean(state.value || search.value.trim());
  const nameOf = ({ stage, key }) => JSON.stringify([stage ?? "", key]);

  function start() {
    rows.clear();
    body.replaceChildren();
    load(null);
  }

  /** A page after the cursor, or the first ones again, as many as are shown. */
  async function load(after) {
    const number = ++asked;
    const size = after ? PAGE : Math.min(MOST_AT_ONCE, Math.max(PAGE, rows.size));
    const { data, error } = await database.rpc("list_items", {
      job_id: jobId, state: state.value ? [state.value] : null, q: search.value.trim() || null, limit: size, after,
    });
    if (isClosed || number !== asked) return;
    if (error) {
      // An absent job is told of where the job is shown.
      if (error.code !== "job_not_found") fail(error);
      return;
    }
    for (const item of data.items) show(item);
    if (after || rows.size <= data.items.length) next = data.next;
    more.hidden = next === null;
    node.hidden = rows.size === 0 && !isFiltered();
    none.hidden = rows.size > 0;
  }

  function show(item) {
    const name = nameOf(item);
    if (!rows.has(name)) {
      const row = makeRow(item);
      rows.set(name, row);
      body.append(...row.nodes);
    }
    rows.get(name).show(item);
  }

  load(null);
  return {
    node,
    read: readSoon,
    hear({ type, data }) {
      if (type !== "item.changed") return;
      const row = rows.get(nameOf(data));
      if (row) row.show({ ...row.item, ...data });
      else if (next === null) readSoon();
    },
    close() {
      isClosed = true;
    },
  };
}

let made = 0;

function makeRow(first) {
  const id = `item-${++made}`;
  const detail = el("pre", { tabindex: 0 });
  const opened = el("tr", { id, class: "detail", hidden: true }, el("td", { colspan: 5 }, detail));
  const button = el("button", { type: "button", class: "key", "aria-controls": id, "aria-expanded": "false", on: { click: toggle } }, first.key);
  const [stage, state, percent, took] = Array.from({ length: 4 }, () => el("td"));
  percent.className = took.className = "number";
  const error = el("span", { class: "sub" });
  const row = el("tr", {}, el("th", { scope: "row" }, button, error), stage, state, percent, took);

  function toggle() {
    opened.hidden = !opened.hidden;
    attribute(button, "aria-expanded", String(!opened.hidden));
  }

  return {
    nodes: [row, opened],
    item: first,
    show(item) {
      this.item = item;
      attribute(row, "data-state", item.state);
      text(stage, item.stage);
      text(error, item.error);
      text(state, words.STATES[item.state]);
      text(percent, words.percent(item.percent));
      text(took, item.duration_ms === null ? "" : words.duration(item.duration_ms));
      const hasPayload = item.payload !== null && item.payload !== undefined;
      text(detail, [item.error, hasPayload ? JSON.stringify(item.payload, null, 2) : null].filter(Boolean).join("\n\n") || "It carries neither payload nor error.");
    },
  };
}

/** Runs `act` when asked, but not again before `ms` have passed; what is asked meanwhile runs then, once. */
function atMostEvery(ms, act) {
  let timer = null;
  let isDue = false;
  function run() {
    timer = setTimeout(() => {
      timer = null;
      if (isDue) run();
    }, ms);
    isDue = false;
    act();
  }
  return () => {
    isDue = true;
    if (timer === null) run();
  };
}
