// A text that somebody is to take with them.

import { el, text } from "./dom.js";

/** A labelled field that holds `value`, with a button that copies it. */
export function copyable(label, value, shell) {
  const input = el("input", { readonly: true, value, on: { focus: () => input.select() } });
  const button = el("button", { type: "button", on: { click: copy } }, "Copy");
  async function copy() {
    input.select();
    try {
      await navigator.clipboard.writeText(value);
      text(button, "Copied");
      shell.say(`${label} copied.`);
    } catch {
      // Not allowed here: it is selected, so that the keyboard can.
      text(button, "Press Ctrl+C");
    }
  }
  return el("label", {}, label, input, button);
}
