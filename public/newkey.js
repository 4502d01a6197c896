// The dialog that makes a key: what for, what it may do, how long; then the key itself, this once.

import { copyable } from "./copyable.js";
import { el, text } from "./dom.js";
import * as words from "./words.js";

const SCOPES = {
  worker: "Worker: creates, reports, claims and reads jobs",
  operator: "Operator: also pauses, resumes, cancels and retries them",
  ping: "Ping: only tells by an address that a job began or ended",
};
const LIVES = { "No end": 0, "30 days": 30, "90 days": 90, "1 year": 365 };
const DAY_MS = 86_400_000;

/**
 * @param {(given: object) => Promise<{data, error}>} create asks for the key
 * @param {() => void} onMade the list has one more
 */
export function keyDialog(shell, create, onMade) {
  const name = el("input", { name: "name", required: true, maxlength: 200, autocomplete: "off", placeholder: "nightly import on host-1" });
  const scope = el("select", { name: "scope" }, Object.entries(SCOPES).map(([value, said]) => el("option", { value }, said)));
  const kinds = el("input", { name: "kinds", autocomplete: "off", placeholder: "all kinds", "aria-describedby": "kinds-hint" });
  const life = el("select", { name: "life" }, Object.entries(LIVES).map(([label, days]) => el("option", { value: days }, label)));
  const make = el("button", { class: "serious" }, "Make the key");
  const problem = el("p", { class: "problem", role: "alert", hidden: true });
  const form = el("form", { on: { submit } },
    el("label", {}, "What it is for", name),
    el("label", {}, "What it may do", scope),
    el("label", {}, "For these kinds of jobs only", kinds, el("span", { class: "sub", id: "kinds-hint" }, "Names with commas between them; none for all.")),
    el("label", {}, "How long it holds", life),
    problem,
    el("div", { class: "answers" }, el("button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"), make));
  const dialog = el("dialog", { class: "newkey", "aria-labelledby": "newkey" }, el("h2", { id: "newkey" }, "New key"), form);

  async function submit(event) {
    event.preventDefault();
    make.disabled = true;
    problem.hidden = true;
    const only = kinds.value.split(",").map((kind) => kind.trim()).filter(Boolean);
    const days = Number(life.value);
    const { data, error } = await create({
      scope: scope.value, name: name.value.trim() || null, kinds: only.length ? only : null,
      expires_at: days ? new Date(Date.now() + days * DAY_MS).toISOString() : null,
    });
    make.disabled = false;
    if (error) {
      problem.hidden = false;
      text(problem, [error.message, error.hint].filter(Boolean).join(" "));
      shell.fail(error);
      return;
    }
    onMade();
    show(data);
  }

  function show(made) {
    // Escape would lose what is shown this once.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("keydown", (event) => event.key === "Escape" && event.preventDefault());
    form.replaceWith(
      el("p", { class: "warning" }, "Copy it now: it is shown this once, and nobody can look it up again. Whoever has it may use it; keep it where secrets are kept."),
      copyable("Key", made.key, shell),
      el("p", {}, made.expires_at ? `It holds until ${words.exactly(made.expires_at)}.` : "It holds until it is revoked."),
      el("form", { method: "dialog", class: "answers" }, el("button", {}, "I have copied it")));
    dialog.querySelector("input").focus();
    shell.say("The key is made.");
  }

  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
