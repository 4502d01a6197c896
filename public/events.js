// What happened to a job: the last of it, and all of it on demand.

import { el, text } from "./dom.js";
import * as words from "./words.js";

const LAST = 20;
const EARLIER = 100;
const MILESTONES = ["job.started", "job.state_changed", "job.completed", "job.failed", "job.stalled", "job.recovered", "job.priority_changed", "stage.changed"];
const OF_STAGES = ["stage.changed", "item.changed"];
const MOST_PAGES = 5; // looked through at once for the events of one stage

/** @returns {{node, show: (job) => void, hear: (event) => void, read: () => void, tick: (now: number) => void}} */
export function eventList(database, jobId, fail) {
  const shown = new Map(); // version -> row
  let most = LAST; // rows kept; more once earlier ones were asked for
  let next = null; // the cursor to what is earlier
  let isReading = false;
  let isDue = false;
  const list = el("ol", { class: "events", reversed: true });
  const all = el("input", { type: "checkbox", on: { change: startAgain } });
  const stage = el("select", { "aria-label": "Events of stage", hidden: true, on: { change: startAgain } }, el("option", { value: "" }, "Any stage"));
  const none = el("p", { class: "none", hidden: true }, "No such event.");
  const earlier = el("button", { type: "button", class: "more", hidden: true, on: { click: readEarlier } }, "Show earlier");
  const node = el("section", { hidden: true },
    el("div", { class: "above" }, el("h2", {}, "Events"), stage, el("label", { class: "quiet" }, all, " progress and items too")), list, none, earlier);

  const types = () => (stage.value ? OF_STAGES : all.checked ? null : MILESTONES);
  const stageOf = ({ type, data }) => (type === "stage.changed" ? data.name : data.stage);
  const wanted = (event) => (types()?.includes(event.type) ?? true) && (!stage.value || stageOf(event) === stage.value);

  function startAgain() {
    shown.clear();
    list.replaceChildren();
    most = LAST;
    next = null;
    read();
  }

  const ask = (limit, after = null) => database.rpc("list_events", { job_id: jobId, type: types(), limit, after });

  async function read() {
    isDue = true;
    if (isReading) return;
    isReading = true;
    while (isDue) {
      isDue = false;
      // The events of a stage lie between those of others.
      if (stage.value && most === LAST) {
        await readEarlier();
        continue;
      }
      const { data, error } = await ask(LAST);
      if (error) {
        if (error.code !== "job_not_found") fail(error);
        continue;
      }
      data.events.filter(wanted).forEach(add);
      if (most === LAST) next = data.next;
    }
    isReading = false;
    tell();
  }

  async function readEarlier() {
    const before = shown.size;
    // The first time all from the newest on, since new ones have pushed some out.
    let after = most === LAST ? null : next;
    most = Infinity;
    for (let page = 0; page < MOST_PAGES; page++) {
      const { data, error } = await ask(EARLIER, after);
      if (error) {
        fail(error);
        break;
      }
      data.events.filter(wanted).forEach(add);
      after = next = data.next;
      if (next === null || shown.size >= before + LAST) break;
    }
    tell();
  }

  function tell() {
    earlier.hidden = next === null;
    none.hidden = shown.size > 0;
    node.hidden = shown.size === 0 && !all.checked && !stage.value;
  }

  function add(event) {
    if (shown.has(event.version)) return;
    const row = makeRow(event);
    const older = [...shown.keys()].filter((version) => version < event.version);
    const place = older.length ? shown.get(Math.max(...older)).node : null;
    list.insertBefore(row.node, place);
    shown.set(event.version, row);
    if (shown.size > most) {
      const oldest = Math.min(...shown.keys());
      shown.get(oldest).node.remove();
      shown.delete(oldest);
      earlier.hidden = false;
    }
    node.hidden = false;
    none.hidden = true;
  }

  read();
  return {
    node,
    read,
    show({ stages }) {
      stage.hidden = stages.length === 0;
      for (const { name } of stages.slice(stage.options.length - 1)) stage.append(el("option", { value: name }, name));
    },
    hear(event) {
      if (wanted(event)) add(event);
    },
    tick(now) {
      for (const row of shown.values()) row.tick(now);
    },
  };
}

function makeRow(event) {
  const [what, more] = words.event(event);
  const time = el("time", { datetime: event.ts, title: words.exactly(event.ts) });
  const row = {
    node: el("li", { "data-type": event.type, "data-state": event.data.new_state ?? event.data.state }, el("span", { class: "what" }, what), el("span", { class: "sub" }, more), time),
    tick(now) {
      text(time, words.ago(event.ts, now));
    },
  };
  row.tick(Date.now());
  return row;
}
