// What is filtered, as a file: read page by page, so that it may be long, and stopped at any time.

import { csvLine } from "./csv.js";
import { el, text } from "./dom.js";
import * as words from "./words.js";

const PAGE = 200;
const COLUMNS = [
  "job_id", "job", "kind", "name", "state", "state_reason", "error", "message", "attempt", "created_at", "started_at", "finished_at",
  "time_processing_ms", "unit", "items_total", "items_completed", "items_failed", "items_skipped", "items_canceled", "bytes_processed", "rate_per_s",
];

/**
 * @param {() => {ask: (page) => Promise<{jobs, next}>, total: number | null, name: string}} chosen what is filtered at the moment
 * @returns {{node, close: () => void}} a button, and how far it is
 */
export function exportButton(chosen, shell) {
  let stopping = null; // set while it runs
  const button = el("button", { type: "button", on: { click: () => (stopping ? stopping() : run()) } }, "Export CSV");
  const progress = el("span", { class: "sub", role: "status" });

  async function run() {
    const { ask, total, name } = chosen();
    let isStopped = false;
    stopping = () => (isStopped = true);
    text(button, "Stop");
    const parts = [csvLine(COLUMNS)];
    let count = 0;
    let after = null;
    let outcome;
    try {
      do {
        const page = await ask({ limit: PAGE, after });
        if (isStopped) break;
        parts.push(page.jobs.map((job) => csvLine(COLUMNS.map((column) => job[column]))).join(""));
        count += page.jobs.length;
        after = page.next;
        text(progress, total === null ? `${words.count(count)} jobs` : `${words.count(count)} of ${words.count(Math.max(total, count))} jobs`);
      } while (after !== null && !isStopped);
      outcome = isStopped ? "Export stopped; nothing was saved." : `${words.count(count)} jobs exported.`;
      if (!isStopped) save(name, parts);
    } catch (error) {
      outcome = `The export failed: ${error.message}`;
      shell.fail(error);
    }
    stopping = null;
    text(button, "Export CSV");
    text(progress, outcome);
  }

  return { node: el("span", { class: "export" }, button, progress), close: () => stopping?.() };
}

function save(name, parts) {
  const address = URL.createObjectURL(new Blob(parts, { type: "text/csv;charset=utf-8" }));
  el("a", { href: address, download: name }).click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
