// The tab's icon: Milepost's own, or how far the job that is shown has come.

import { attribute } from "./dom.js";

const link = document.querySelector('link[rel="icon"]');
const PLAIN = link.getAttribute("href");
const ROUND = 2 * Math.PI * 6;
const TONES = { completed: "#2a9d62", failed: "#d9434e", canceled: "#7d7d88", paused: "#c98a1b", pausing: "#c98a1b", retrying: "#c98a1b" };
const GLYPHS = { completed: "M5 8.3l2.1 2.1 4-4.4", failed: "M5.7 5.7l4.6 4.6m0-4.6l-4.6 4.6" };

/** @param {{state: string, percent_complete: number | null} | null} job */
export function favicon(job) {
  attribute(link, "href", job ? drawn(job) : PLAIN);
}

function drawn({ state, percent_complete: percent }) {
  const tone = TONES[state] ?? "#5b67e0";
  const glyph = GLYPHS[state];
  // In steps of 4 %, since each new picture is a new icon for the browser to load.
  const arc = (ROUND * Math.floor((percent ?? 0) / 4)) / 25;
  const shape = glyph
    ? `<circle cx="8" cy="8" r="8" fill="${tone}"/><path d="${glyph}" fill="none" stroke="#fff" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/>`
    : `<g fill="none" stroke="${tone}" stroke-width="3.5"><circle cx="8" cy="8" r="6" opacity=".28"/><circle cx="8" cy="8" r="6" stroke-dasharray="${arc.toFixed(1)} 99" transform="rotate(-90 8 8)"/></g>`;
  return `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${shape}</svg>`)}`;
}
