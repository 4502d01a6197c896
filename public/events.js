// What happened to a job lately.

import { attribute, el, text } from "./dom.js";
import * as words from "./words.js";

const LAST = 20;
const MILESTONES = ["job.started", "job.state_changed", "job.completed", "job.failed", "job.stalled", "job.recovered", "stage.changed"];

/** @returns {{node, hear: (event) => void, read: () => void, tick: (now: number) => void}} */
export function eventList(database, jobId, fail) {
  const shown = new Map(); // version -> row
  let seen = 0; // the greatest version that was heard
  let isReading = false;
  let isDue = false;
  const list = el("ol", { class: "events", reversed: true });
  const all = el("input", { type: "checkbox", on: { change: startAgain } });
  const node = el("section", { hidden: true }, el("div", { class: "above" }, el("h2", {}, "Events"), el("label", { class: "quiet" }, all, " progress and items too")), list);

  const wanted = ({ type }) => all.checked || MILESTONES.includes(type);

  function startAgain() {
    shown.clear();
    list.replaceChildren();
    read();
  }

  async function read() {
    isDue = true;
    if (isReading) return;
    isReading = true;
    while (isDue) {
      isDue = false;
      const { data, error } = await database.rpc("list_events", { job_id: jobId, type: all.checked ? null : MILESTONES, limit: LAST });
      if (!error) data.events.filter(wanted).forEach(add);
      else if (error.code !== "job_not_found") fail(error);
    }
    isReading = false;
    node.hidden = shown.size === 0 && !all.checked;
  }

  function add(event) {
    if (shown.has(event.version)) return;
    const row = makeRow(event);
    const older = [...shown.keys()].filter((version) => version < event.version);
    const place = older.length ? shown.get(Math.max(...older)).node : null;
    list.insertBefore(row.node, place);
    shown.set(event.version, row);
    if (shown.size > LAST) {
      const oldest = Math.min(...shown.keys());
      shown.get(oldest).node.remove();
      shown.delete(oldest);
    }
    node.hidden = false;
  }

  read();
  return {
    node,
    read,
    hear(event) {
      if (seen && event.version > seen + 1) read();
      seen = Math.max(seen, event.version);
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
