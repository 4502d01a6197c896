// Keyboard shortcuts, and the dialog that lists them.

import { el } from "./dom.js";

const KEYS = [
  [["/"], "Search"],
  [["j"], "Next job"],
  [["k"], "Previous job"],
  [["Enter"], "Open the job"],
  [["u"], "Back to the list"],
  [["g", "l"], "Go to the jobs"],
  [["g", "h"], "Go to the history"],
  [["g", "a"], "Go to keys and members"],
  [["?"], "These shortcuts"],
];
const FOLLOW_MS = 1200; // how long "g" waits for its second key

export function showHelp() {
  if (document.querySelector("dialog[open]")) return;
  const dialog = el("dialog", { class: "help", "aria-labelledby": "help" },
    el("form", { method: "dialog" },
      el("h2", { id: "help" }, "Keyboard shortcuts"),
      el("dl", {}, KEYS.map(([keys, what]) => el("div", {}, el("dt", {}, keys.map((key) => el("kbd", {}, key))), el("dd", {}, what)))),
      el("div", { class: "answers" }, el("button", { autofocus: true }, "Close"))));
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}

/** @param {{view: () => object | null, go: (address: string) => void, back: () => string}} page */
export function listenToKeys({ view, go, back }) {
  let wentAt = -Infinity; // when "g" was pressed
  const acts = {
    "/": () => view().focusSearch?.(),
    j: () => view().step?.(1),
    k: () => view().step?.(-1),
    u: () => view().jobId && go(back()),
    "?": showHelp,
    "g l": () => go("#/"),
    "g h": () => go("#/history"),
    "g a": () => go("#/access"),
  };
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea, dialog");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !view()) return;
    const isSecond = event.timeStamp - wentAt < FOLLOW_MS;
    wentAt = event.key === "g" ? event.timeStamp : -Infinity;
    const act = acts[isSecond ? `g ${event.key}` : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
