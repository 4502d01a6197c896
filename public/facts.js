// A job's figures, each under its name.

import { attribute, el, text } from "./dom.js";
import * as words from "./words.js";

export function factList(names) {
  const entries = new Map(names.map((name) => {
    const label = el("dt", {}, name);
    const value = el("dd", { class: "value" });
    const more = el("dd", { class: "more" });
    return [name, { label, value, more, node: el("div", { "data-fact": name }, label, value, more) }];
  }));
  return {
    node: el("dl", { class: "facts" }, [...entries.values()].map((entry) => entry.node)),
    show(name, value, more) {
      const entry = entries.get(name);
      entry.node.hidden = value === null;
      text(entry.value, value);
      text(entry.more, more);
    },
    time(name, iso, { label = name, ahead = null } = {}) {
      const entry = entries.get(name);
      entry.node.hidden = !iso;
      Object.assign(entry, { iso, ahead });
      text(entry.label, label);
      attribute(entry.value, "title", words.exactly(iso));
      this.tick(Date.now());
    },
    tick(now) {
      for (const { value, more, iso, ahead } of entries.values()) {
        if (!iso) continue;
        const isAhead = Date.parse(iso) > now;
        text(value, isAhead ? words.when(iso, now) : words.ago(iso, now));
        text(more, isAhead ? ahead : words.when(iso, now));
      }
    },
  };
}
