// Who works on a job.

import { attribute, el, text } from "./dom.js";
import * as words from "./words.js";

/** The job's lanes; the one that holds the others up is marked. */
export function workerTable() {
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
