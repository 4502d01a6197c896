// The tries at a job, where there was more than one.

import { el, text } from "./dom.js";
import * as words from "./words.js";

const MOST = 200;

/** @returns {{node, show: (job) => void}} */
export function attempts(database, jobId, fail) {
  const list = el("ol", { class: "attempts", reversed: true });
  const node = el("section", { hidden: true }, el("h2", {}, "Attempts"), list);
  let drawn = "";

  async function read(job) {
    const { data, error } = await database.rpc("list_events", { job_id: jobId, type: ["job.started", "job.state_changed"], limit: MOST });
    if (error) {
      drawn = "";
      if (error.code !== "job_not_found") fail(error);
      return;
    }
    const tries = new Map();
    // Oldest first; a new attempt begins where the one before is given up, and the reason for that is its end.
    for (const { ts, data: said } of data.events.reverse()) {
      if (!tries.has(said.attempt)) {
        tries.set(said.attempt, { began: ts });
        const before = tries.get(said.attempt - 1);
        if (before) Object.assign(before, { ended: ts, why: said.reason });
      }
    }
    list.replaceChildren(...[...tries].reverse().map(([number, { began, ended, why }]) => {
      const isLast = number === job.attempt;
      const end = ended ?? job.finished_at;
      return el("li", { "data-state": isLast ? job.state : "failed" },
        el("span", { class: "what" }, `Attempt ${number}`),
        el("time", { datetime: began, title: words.exactly(began) }, words.when(began)),
        el("span", { class: "sub" }, [isLast ? words.STATES[job.state] : (why ?? "Ended"), end ? `after ${words.duration(Date.parse(end) - Date.parse(began))}` : null].filter(Boolean).join(" · ")));
    }));
  }

  return {
    node,
    show(job) {
      node.hidden = job.attempt < 2;
      const now = `${job.attempt} ${job.state}`;
      if (node.hidden || drawn === now) return;
      drawn = now;
      read(job);
    },
  };
}
