// What needs somebody, in figures that are filters too.

import { attribute, el, text } from "./dom.js";
import { query } from "./filters.js";
import * as words from "./words.js";

const REGULARLY_MS = 15_000; // a job gets stuck by time passing, not by an event
const REST = 9; // a read may take a tenth of the time, however many jobs there are
const LEAST_MS = 1000;

const COUNTERS = {
  running: ["Running", { state: "running" }],
  waiting: ["Waiting", { state: "waiting" }],
  stuck: ["Stuck", { liveness: "stuck" }],
  failed_24h: ["Failed in 24 h", { state: "failed" }],
};

/**
 * @param {() => void} told called whenever `figures` were read
 * @param {(error: object) => void} fail
 */
export function makeCounters({ client, tenantId }, told, fail) {
  const links = {};
  const throughput = el("span", { class: "figure" }, words.UNKNOWN);
  let figures = null;
  let timer = null;
  let isReading = false;
  let isDue = false;
  let restMs = LEAST_MS;
  const node = el("nav", { class: "counters", "aria-label": "Counters" });
  for (const [name, [label, filter]] of Object.entries(COUNTERS)) {
    const figure = el("span", { class: "figure" }, words.UNKNOWN);
    links[name] = el("a", { href: `#/${query(filter)}`, "data-counter": name }, figure, el("span", { class: "label" }, label));
    node.append(links[name]);
  }
  node.append(el("p", { "data-counter": "items_per_s" }, throughput, el("span", { class: "label" }, "Items a second")));

  async function readNow() {
    timer = null;
    isReading = true;
    isDue = false;
    const began = performance.now();
    const { data, error } = await client.schema("milepost").rpc("job_counts", { tenant: tenantId });
    // A count that cannot be had is unknown, and no old one stands in for it.
    figures = error ? null : data;
    if (error) fail(error);
    for (const name of Object.keys(COUNTERS)) {
      text(links[name].firstChild, words.count(figures?.[name]));
      attribute(links[name], "data-some", figures?.[name] > 0);
    }
    text(throughput, figures?.items_per_s == null ? words.UNKNOWN : words.amount(figures.items_per_s));
    restMs = Math.max(LEAST_MS, REST * (performance.now() - began));
    isReading = false;
    told();
    if (isDue) read();
  }

  /** Soon, however many events ask for it. */
  function read() {
    isDue = true;
    if (!isReading && !document.hidden) timer ??= setTimeout(readNow, restMs);
  }

  const regularly = setInterval(read, REGULARLY_MS);
  readNow();
  return {
    node,
    read,
    get figures() {
      return figures;
    },
    mark(asked) {
      const { sort: _, group: __, fold: ___, ...filter } = asked;
      for (const [name, [, of]] of Object.entries(COUNTERS)) attribute(links[name], "aria-current", query(of) === query(filter) && "true");
    },
    close() {
      clearInterval(regularly);
      clearTimeout(timer);
    },
  };
}
