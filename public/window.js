// A long list of which only what is near the eye is in the page. The page itself scrolls; what is left out above and
// below is padding, so every row is where it would be.

import { eachFrame } from "./dom.js";

const BEYOND = 8; // rows kept on either side of the screen

/**
 * @param {HTMLElement} list the element that holds the rows
 * @param {object} rows
 * @param {(entry) => {node: HTMLElement}} rows.make a row for an entry
 * @param {(entry) => string} rows.id what tells entries apart
 * @param {(entry) => number} rows.height px, of every row of its sort
 * @param {() => void} rows.nearEnd the reader has come close to the end
 */
export function windowed(list, { make, id, height, nearEnd }) {
  let entries = [];
  let places = new Map(); // id -> index
  let tops = [0]; // where each entry begins; one more: where the list ends
  const shown = new Map(); // id -> row
  const draw = eachFrame(render);

  /** The first entry that ends below y. */
  function at(y) {
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tops[middle + 1] <= y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const top = () => list.getBoundingClientRect().top;

  function render() {
    if (!list.isConnected || list.closest("[hidden]")) return;
    const above = -top();
    const first = Math.max(0, at(above) - BEYOND);
    const last = Math.min(entries.length, at(above + innerHeight) + 1 + BEYOND);
    // The row that has the focus stays, or the keyboard would lose its place.
    const focused = places.get(list.contains(document.activeElement) ? document.activeElement.closest("li").dataset.id : null);
    const wanted = [];
    for (let n = first; n < last; n++) wanted.push(n);
    if (focused < first) wanted.unshift(focused);
    if (focused >= last) wanted.push(focused);

    const kept = new Set(wanted.map((n) => id(entries[n])));
    for (const [name, row] of shown) {
      if (kept.has(name)) continue;
      row.node.remove();
      shown.delete(name);
    }
    let place = list.firstElementChild;
    for (const n of wanted) {
      const name = id(entries[n]);
      if (!shown.has(name)) {
        const row = make(entries[n]);
        row.node.dataset.id = name;
        shown.set(name, row);
      }
      const { node } = shown.get(name);
      node.ariaPosInSet = n + 1;
      node.ariaSetSize = entries.length;
      if (node === place) place = place.nextElementSibling;
      else list.insertBefore(node, place);
    }
    list.style.paddingTop = `${tops[first] - (focused < first ? height(entries[focused]) : 0)}px`;
    list.style.paddingBottom = `${tops.at(-1) - tops[last] - (focused >= last ? height(entries[focused]) : 0)}px`;
    if (last === entries.length) nearEnd();
  }

  addEventListener("scroll", draw, { passive: true });
  return {
    /** Shows these entries; what the reader looks at stays where it is. */
    set(next) {
      const above = -top();
      const anchor = above > 0 && entries.length ? at(above) : null;
      const held = anchor === null ? null : { name: id(entries[anchor]), offset: above - tops[anchor] };
      entries = next;
      places = new Map(entries.map((entry, n) => [id(entry), n]));
      tops = [0];
      for (const entry of entries) tops.push(tops.at(-1) + height(entry));
      render();
      if (held && places.has(held.name)) {
        const moved = tops[places.get(held.name)] + held.offset + top();
        if (moved !== 0) scrollBy({ top: moved, behavior: "instant" });
      }
    },
    get rows() {
      return shown.values();
    },
    row: (name) => shown.get(name),
    has: (name) => places.has(name),
    /** Moves the focus to the entry that is so many away from the focused one; from the top without one. */
    step(by, focusable) {
      const now = places.get(document.activeElement?.closest("li")?.dataset.id) ?? (by > 0 ? at(Math.max(0, -top())) - 1 : entries.length);
      const n = now + by;
      if (n < 0 || n >= entries.length) return;
      this.reveal(id(entries[n]));
      focusable(shown.get(id(entries[n])).node).focus({ preventScroll: true });
    },
    /** Scrolls no further than needed for the entry to be seen. */
    reveal(name) {
      const n = places.get(name);
      if (n === undefined) return false;
      const margin = 64; // the header of the page covers the top
      const [from, to] = [tops[n] + top(), tops[n + 1] + top()];
      if (from < margin) scrollBy({ top: from - margin, behavior: "instant" });
      else if (to > innerHeight) scrollBy({ top: to - innerHeight + margin, behavior: "instant" });
      render();
      return true;
    },
    close() {
      removeEventListener("scroll", draw);
    },
  };
}
