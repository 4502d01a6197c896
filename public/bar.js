// Progress as a bar and as a ring: filled as far as is known, and moving without a figure where it is not.

import { attribute, el, svg } from "./dom.js";
import { AT_WORK, ENDED, percent, settled } from "./words.js";

/** A bar for whatever has a percent, counts and a state: a job or a stage. */
export function bar(label) {
  const done = el("span", { class: "done" });
  const failed = el("span", { class: "failed" });
  const node = el("span", { class: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, done, failed);
  return {
    node,
    show(thing, unit) {
      const p = thing.percent_complete;
      const isKnown = p !== null && p !== undefined;
      attribute(node, "data-unknown", !isKnown && !ENDED.has(thing.state));
      attribute(node, "data-moving", !isKnown && AT_WORK.has(thing.state));
      attribute(node, "aria-valuenow", isKnown ? Math.floor(p * 10) / 10 : null);
      attribute(node, "aria-valuetext", `${isKnown ? percent(p) : "unknown"}, ${settled({ ...thing, unit })}`);
      const share = thing.items_total > 0 ? Math.min((100 * thing.items_failed) / thing.items_total, 100 - (p ?? 0)) : 0;
      done.style.transform = isKnown ? `scaleX(${p / 100})` : "";
      failed.style.transform = `translateX(${p ?? 0}%) scaleX(${Math.max(0, share) / 100})`;
    },
  };
}

const GLYPHS = {
  completed: "M5 8.2l2.1 2.1L11 6.2",
  failed: "M5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4",
  canceled: "M5.5 8h5",
  skipped: "M5.5 8h5",
  paused: "M6.6 6v4M9.4 6v4",
  pausing: "M6.6 6v4M9.4 6v4",
};

/** A small ring that shows a state, and how far it is. */
export function ring() {
  const pie = svg("circle", { class: "pie", cx: 8, cy: 8, r: 2.25, pathLength: 100 });
  const glyph = svg("path", { class: "glyph" });
  const node = svg("svg", { class: "ring", viewBox: "0 0 16 16", "aria-hidden": true }, svg("circle", { class: "edge", cx: 8, cy: 8, r: 6.25 }), pie, glyph);
  return {
    node,
    show({ state, percent_complete: p }) {
      attribute(node, "data-state", state);
      attribute(pie, "stroke-dasharray", `${p ?? 0} 100`);
      attribute(glyph, "d", GLYPHS[state] ?? null);
    },
  };
}
