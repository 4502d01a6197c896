// A job's stages, side by side.

import { attribute, el, text } from "./dom.js";
import { bar, ring } from "./bar.js";
import * as words from "./words.js";

/** The stages in their order, each as wide as its weight. */
export function stageLane() {
  const rows = new Map();
  const lane = el("ol", { class: "lane" });
  const node = el("section", { class: "stages", hidden: true }, el("h2", {}, "Stages"), lane);

  function make(name) {
    const state = ring();
    const progress = bar(`Progress of stage ${name}`);
    const percent = el("span", { class: "percent" });
    const counts = el("span", { class: "sub" });
    const took = el("span", { class: "sub" });
    return {
      node: el("li", {}, progress.node, el("span", { class: "name" }, state.node, name), percent, took, counts),
      show(stage, unit) {
        attribute(this.node, "data-state", stage.state);
        this.node.style.setProperty("--weight", stage.weight);
        state.show(stage);
        progress.show(stage, unit);
        const isWaiting = stage.state === "pending";
        text(percent, isWaiting && !stage.percent_complete ? "" : words.percent(stage.percent_complete));
        text(counts, isWaiting ? "" : [words.settled({ ...stage, unit }), stage.items_failed > 0 ? `${words.count(stage.items_failed)} failed` : null].filter(Boolean).join(" · "));
        const end = stage.finished_at ? Date.parse(stage.finished_at) : Date.now();
        text(took, [words.STATES[stage.state], stage.started_at ? words.duration(end - Date.parse(stage.started_at)) : null].filter(Boolean).join(" · "));
        attribute(took, "title", stage.started_at ? `Began ${words.exactly(stage.started_at)}` : null);
      },
    };
  }

  return {
    node,
    show({ stages, unit }) {
      node.hidden = stages.length === 0;
      for (const stage of stages) {
        if (!rows.has(stage.name)) {
          rows.set(stage.name, make(stage.name));
          lane.append(rows.get(stage.name).node);
        }
        rows.get(stage.name).show(stage, unit);
      }
    },
  };
}
