// What the list is narrowed and ordered by, as the address says it: ?state=running&kind=csv&owner=me&sort=attention.

import { afterPause, el } from "./dom.js";

// Each answers one question; together they are every state.
export const GROUPS = {
  running: ["Running", ["running", "completing", "pausing", "canceling"]],
  waiting: ["Waiting", ["pending", "retrying"]],
  paused: ["Paused", ["paused"]],
  completed: ["Completed", ["completed"]],
  failed: ["Failed", ["failed"]],
  canceled: ["Canceled", ["canceled"]],
};
const STUCK = ["stalled", "lost"];
const SORTS = [["", "Newest first"], ["finishing", "Finishing soonest"], ["attention", "Needs attention first"]];
const NARROWING = ["state", "kind", "liveness", "owner", "q"];

/** The address of a list, without what is not said. */
export function query(asked) {
  const given = Object.entries(asked).filter(([, value]) => value).sort();
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

export const isNarrowed = (asked) => NARROWING.some((name) => asked[name]);

/** What the list asks of the database. */
export function filterOf({ state, kind, liveness, owner, q, sort }, userId) {
  return {
    state: state ? (GROUPS[state]?.[1] ?? state.split(",")) : [],
    kind: kind ? [kind] : [],
    liveness: liveness === "stuck" ? STUCK : liveness ? [liveness] : [],
    owner: owner === "me" ? userId : owner,
    q,
    sort: SORTS.some(([name]) => name === sort) ? sort : "",
  };
}

/** Kinds whose jobs are folded away, in one parameter. */
export const folded = ({ fold }) => new Set(fold ? fold.split(",").map(decodeURIComponent) : []);
export const fold = (kinds) => [...kinds].map(encodeURIComponent).join(",");

/** @param {(asked: object) => void} change is told what is asked for now */
export function makeFilters(change) {
  let asked = {};
  const given = (name) => (event) => change({ ...asked, [name]: event.target.value });
  const typed = afterPause(250, () => change({ ...asked, q: search.value.trim() }));
  const search = el("input", { type: "search", placeholder: "Search", "aria-label": "Search jobs", "aria-keyshortcuts": "/", autocomplete: "off", spellcheck: "false", on: { input: typed } });
  const choice = (name, label, options) =>
    el("select", { "aria-label": label, on: { change: given(name) } }, options.map(([value, said]) => el("option", { value }, said)));
  const state = choice("state", "State", [["", "Any state"], ...Object.entries(GROUPS).map(([value, [label]]) => [value, label])]);
  const liveness = choice("liveness", "Liveness", [["", "Any liveness"], ["on_time", "On time"], ["late", "Late"], ["stuck", "Stalled or lost"]]);
  const kind = choice("kind", "Kind", [["", "Any kind"]]);
  const owner = choice("owner", "Owner", [["", "Anybody's"], ["me", "Mine"]]);
  const sort = choice("sort", "Sort", SORTS);
  const group = el("input", { type: "checkbox", on: { change: () => change({ ...asked, group: group.checked ? "kind" : "", fold: "" }) } });
  const clear = el("button", { type: "button", class: "quiet", hidden: true, on: { click: () => change({ sort: asked.sort, group: asked.group, fold: asked.fold }) } }, "Clear");

  /** Offers a value that is not among the options yet, in its place by the alphabet. */
  function offer(select, value, said = value) {
    const options = [...select.options].slice(1);
    if (!value || options.some((option) => option.value === value)) return;
    select.insertBefore(el("option", { value }, said), options.find((option) => option.value > value) ?? null);
  }

  return {
    node: el("form", { class: "filters", role: "search", "aria-label": "Jobs", on: { submit: (event) => event.preventDefault() } },
      search, state, kind, owner, liveness, clear, el("span", { class: "order" }, sort, el("label", { class: "quiet" }, group, "By kind"))),
    kinds(seen) {
      for (const name of seen) offer(kind, name);
    },
    show(wanted) {
      asked = wanted;
      offer(kind, asked.kind);
      // Owners have ids and no names here.
      offer(owner, asked.owner, `Owner ${asked.owner?.slice(0, 8)}`);
      if (search.value.trim() !== (asked.q ?? "")) search.value = asked.q ?? "";
      state.value = asked.state ?? "";
      kind.value = asked.kind ?? "";
      owner.value = asked.owner ?? "";
      liveness.value = asked.liveness ?? "";
      sort.value = asked.sort ?? "";
      group.checked = asked.group === "kind";
      clear.hidden = !isNarrowed(asked);
    },
    focusSearch: () => search.focus(),
  };
}
