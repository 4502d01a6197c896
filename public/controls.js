// What a person may ask of a job, and the buttons for it.

import { attribute, el, text } from "./dom.js";

// The states in which each is permitted; the database decides, this only spares a refusal.
export const VERBS = {
  pause: { label: "Pause", from: ["pending", "retrying", "running"] },
  resume: { label: "Resume", from: ["pausing", "paused"] },
  retry: {
    label: "Retry",
    from: ["running", "completing", "pausing", "paused", "failed", "canceled"],
    ask: (job) => ({
      title: `Begin attempt ${job.attempt + 1} of ${job.name}?`,
      words: "It goes on from its last cursor. Whatever the present worker reports from now on no longer counts.",
      yes: `Begin attempt ${job.attempt + 1}`,
      no: "Leave it",
    }),
  },
  cancel: {
    label: "Cancel",
    from: ["pending", "retrying", "running", "pausing", "paused", "completing"],
    ask: (job) => ({
      title: `Cancel ${job.name}?`,
      words: "Its worker stops at its next checkpoint. What is done stays done.",
      yes: "Cancel the job",
      no: "Keep it",
    }),
  },
};

/** Whether the job's state permits the verb. Priority counts wherever a job may wait again. */
export function allowed(verb, job) {
  if (verb === "priority") return !["completed", "canceled"].includes(job.state);
  return VERBS[verb].from.includes(job.state);
}

/**
 * The buttons of one job, once it is known.
 *
 * @param {(verb: string, given?: object) => Promise<void>} act asks it of the job; rejects with what the database refused
 */
export function controls(act) {
  let job = null;
  let asked = null; // the verb that is on its way
  const problem = el("p", { class: "problem", role: "alert", hidden: true });

  const offered = { ...VERBS, priority: { label: "Priority" } };
  const buttons = Object.entries(offered).map(([verb, { label, ask }]) => {
    const button = el("button", { type: "button", "data-verb": verb, hidden: true, on: { click: press } }, label);
    async function press() {
      if (asked || !job) return;
      if (ask && !(await confirmed(ask(job)))) return;
      const given = verb === "priority" ? await priorityOf(job) : undefined;
      if (given === null) return;
      asked = verb;
      problem.hidden = true;
      draw();
      try {
        await act(verb, given);
      } catch (error) {
        problem.hidden = false;
        text(problem, [error.message, error.hint].filter(Boolean).join(" "));
      }
      asked = null;
      draw();
    }
    return [verb, button, label];
  });

  function draw() {
    const focused = buttons.find(([, button]) => button === document.activeElement);
    for (const [verb, button, label] of buttons) {
      button.hidden = !allowed(verb, job);
      attribute(button, "aria-disabled", asked !== null);
      text(button, asked === verb ? "Asking…" : label);
    }
    // The button that was pressed may be gone now; the focus stays in the group.
    if (focused?.[1].hidden) buttons.find(([, button]) => !button.hidden)?.[1].focus();
  }

  return {
    node: el("div", { class: "controls" }, el("div", { role: "group", "aria-label": "Controls" }, buttons.map(([, button]) => button)), problem),
    show(shown) {
      job = shown;
      draw();
    },
  };
}

/** Asks before what cannot be taken back. */
export async function confirmed({ title, words, yes, no }) {
  return (await dialogOf(title, [el("p", {}, words)], yes, no)).returnValue === "yes";
}

/** Asks for a priority; null where it is left as it is. */
async function priorityOf(job) {
  const number = el("input", { type: "number", name: "priority", step: 1, min: -1000, max: 1000, required: true, value: job.priority, autofocus: true });
  const label = el("label", {}, "Priority", number, el("span", { class: "sub" }, "Among waiting jobs, the greatest is claimed first; 0 is usual."));
  const { returnValue } = await dialogOf(`Priority of ${job.name}`, [label], "Set priority", "Leave it", false);
  return returnValue === "yes" ? { priority: number.valueAsNumber } : null;
}

/** Shows a dialog until it is answered; resolves to it, closed, with `returnValue` "yes" or something else. */
function dialogOf(title, parts, yes, no, isSerious = true) {
  const leave = el("button", { type: "button", autofocus: isSerious, on: { click: () => dialog.close("no") } }, no);
  const dialog = el(
    "dialog",
    { "aria-labelledby": "question" },
    el("form", { method: "dialog" }, el("h2", { id: "question" }, title), parts, el("div", { class: "answers" }, leave, el("button", { value: "yes", class: "serious" }, yes))),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog);
    });
  });
}
