// One job in the list.

import { attribute, el, spoken, text } from "./dom.js";
import { bar, ring } from "./bar.js";
import * as words from "./words.js";

/** @returns {{node, show: (job) => void, tick: (now: number) => void}} */
export function jobRow(first) {
  const link = el("a", { href: `#/jobs/${first.job_id}` });
  const sub = el("span", { class: "sub" });
  const progress = bar(`Progress of ${first.name}`);
  const state = ring();
  const [percent, counts, rate, left, range, said, mood, updated] = Array.from({ length: 8 }, () => el("span"));
  const time = el("time");
  percent.className = "percent";
  said.className = "said";
  for (const line of [counts, range, mood]) line.className = "sub";
  updated.append(spoken("Updated "), time);
  const node = el("li", { class: "job" },
    state.node,
    el("span", { class: "what" }, link, sub),
    el("span", { class: "progress" }, percent, progress.node, counts),
    el("span", { class: "rate" }, rate),
    el("span", { class: "left" }, left, range),
    el("span", { class: "state" }, said, mood),
    el("span", { class: "updated" }, updated),
  );
  let at = null;
  let againAt = 0; // when "3 min ago" is no longer true

  const row = {
    node,
    show(job) {
      attribute(node, "data-state", job.state);
      attribute(node, "data-liveness", job.liveness);
      state.show(job);
      text(link, job.name);
      text(sub, [job.name === job.job ? null : job.job, job.kind === "default" ? null : job.kind, job.error ?? job.message].filter(Boolean).join(" · "));
      progress.show(job, job.unit);
      text(percent, words.percent(job.percent_complete));
      text(counts, words.settled(job) + (job.items_failed > 0 ? ` · ${words.count(job.items_failed)} failed` : ""));
      text(rate, words.rate(job.rate_per_s, job.unit));
      const eta = words.timeLeft(job);
      text(left, eta.said);
      text(range, eta.more);
      text(said, words.STATES[job.state]);
      text(mood, moodOf(job));
      at = job.finished_at ?? job.last_checkpoint_at ?? job.created_at;
      attribute(time, "datetime", at);
      attribute(time, "title", words.exactly(at));
      againAt = 0;
      row.tick(Date.now());
    },
    tick(now) {
      if (now < againAt) return;
      text(time, words.ago(at, now));
      againAt = now + (now - Date.parse(at) < 60_000 ? 900 : 20_000);
    },
  };
  row.show(first);
  return row;
}

function moodOf(job) {
  if (job.rate_limited) return "rate limited";
  if (words.AT_WORK.has(job.state)) return `${words.LIVENESS[job.liveness].toLowerCase()} · ${words.HEALTH[job.health]}`;
  return job.attempt > 1 ? `attempt ${job.attempt}` : "";
}

/** The line above the jobs of a kind, which folds them away. */
export function groupRow(first, toggle) {
  const name = el("span", { class: "name" });
  const counts = el("span", { class: "sub" });
  const button = el("button", { type: "button", on: { click: () => toggle(first.kind) } }, name, counts);
  const row = {
    node: el("li", { class: "group" }, button),
    show({ kind, listed, isFolded, of }) {
      text(name, kind);
      attribute(button, "aria-expanded", String(!isFolded));
      const known = of ? ["running", "waiting", "paused", "stuck"].filter((what) => of[what] > 0).map((what) => `${words.count(of[what])} ${what}`) : [];
      if (of?.failed_24h > 0) known.push(`${words.count(of.failed_24h)} failed in 24 h`);
      text(counts, [`${words.count(listed)} listed`, ...known].join(" · "));
    },
    tick() {},
  };
  row.show(first);
  return row;
}
