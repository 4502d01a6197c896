// What a share link opens: one job, for anybody who has the link. The token stands behind the #, so that it is in no
// server's log of this page; the element asks for the job, and this page draws what is around it.

import { bar, ring } from "./bar.js";
import { attribute, el, text } from "./dom.js";
import * as words from "./words.js";

const heading = document.querySelector("h1");
const stages = el("ol");
const staged = el("section", { class: "stages", hidden: true }, el("h2", {}, "Stages"), stages);
const foot = el("p", { class: "foot" });
const element = el("milepost-progress");
const rows = new Map();

element.addEventListener("change", ({ detail: job }) => {
  text(heading, job?.name ?? "Shared progress");
  document.title = job ? `${job.percent_complete === null || words.ENDED.has(job.state) ? words.STATES[job.state] : words.percent(job.percent_complete)} · ${job.name}` : "Milepost";
  staged.hidden = !job?.stages.length;
  for (const stage of job?.stages ?? []) row(stage.name).show(stage, job.unit);
  text(foot, job ? [`${words.settled(job)}`, job.started_at ? `started ${words.when(job.started_at)}` : null, `this link holds until ${words.when(job.expires_at)}`].filter(Boolean).join(" · ") : "");
});

function row(name) {
  if (!rows.has(name)) {
    const [state, progress] = [ring(), bar(`Progress of stage ${name}`)];
    const [percent, counts] = [el("span"), el("span", { class: "sub" })];
    const node = el("li", {}, el("span", { class: "name" }, state.node, name), percent, progress.node, counts);
    stages.append(node);
    rows.set(name, {
      show(stage, unit) {
        attribute(node, "data-state", stage.state);
        state.show(stage);
        progress.show(stage, unit);
        const isWaiting = stage.state === "pending" && !stage.percent_complete;
        text(percent, isWaiting ? "" : words.percent(stage.percent_complete));
        text(counts, [words.STATES[stage.state], isWaiting ? null : words.settled({ ...stage, unit })].filter(Boolean).join(" · "));
      },
    });
  }
  return rows.get(name);
}

async function open() {
  const token = location.hash.slice(1);
  stages.replaceChildren();
  rows.clear();
  let config = {};
  try {
    config = await (await fetch("config.json", { cache: "no-cache" })).json();
  } catch {
    // Then the API is where this page is.
  }
  element.setAttribute("url", config.api_url || location.origin);
  // Whatever else stands there is no share link's token; the element says so.
  element.setAttribute("key", token.startsWith("sh_") ? token : "sh_");
  document.querySelector("main").replaceChildren(heading, element, staged, foot);
}

addEventListener("hashchange", open);
open();
