// A job's course as two charts: how far over time with where it leads, and how fast. Loaded when a job is opened.

import { attribute, el, text } from "./dom.js";
import { doneAt, extend, makeCourse, rates } from "./course.js";
import uPlot from "./vendor/uplot.js";
import * as words from "./words.js";

const READ_AGAIN_MS = 30_000; // predictions come with each tenth of the way
const DRAW_AGAIN_MS = 1000;
const TABLE_ROWS = 12;

if (!document.querySelector('link[href="vendor/uplot.css"]')) {
  document.head.append(el("link", { rel: "stylesheet", href: "vendor/uplot.css" }));
}
const darkness = matchMedia("(prefers-color-scheme: dark)");

/** @returns {{node, show: (job) => void, close: () => void}} */
export function courseCharts(database, jobId, fail) {
  const says = el("p", { class: "says", id: "course" });
  const pointed = el("p", { class: "pointed", "aria-hidden": true });
  const far = el("div", { class: "plot", role: "img", "aria-labelledby": "course" });
  const fast = el("div", { class: "plot", role: "img", "aria-label": "Rate over time" });
  const legend = el("ul", { class: "legend", "aria-hidden": true },
    ...[["done", "Done"], ["fan", "Likely (80 %)"], ["was", "Predicted earlier"]].map(([name, said]) => el("li", {}, el("i", { class: name }), said)));
  const table = el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Course as a table" });
  const details = el("details", { on: { toggle: drawTable } }, el("summary", {}, "As a table"), table);
  const node = el("section", { class: "course", hidden: true },
    el("div", { class: "above" }, el("h2", {}, "Course"), pointed), says, far, legend, el("h3", {}, "Rate"), fast, details);

  let job = null;
  let course = null;
  let readAt = -Infinity;
  let drawnAt = -Infinity;
  let plots = null; // [far, fast]
  let timer = null;
  let isClosed = false;

  async function read() {
    readAt = Date.now();
    const { data, error } = await database.rpc("job_predictions", { job_id: jobId });
    if (isClosed) return;
    if (error) {
      if (error.code !== "job_not_found") fail(error);
      return;
    }
    course = makeCourse(data, Date.parse(job.started_at ?? job.created_at) / 1000);
    drawSoon();
  }

  function drawSoon() {
    if (timer !== null || isClosed) return;
    timer = setTimeout(() => {
      timer = null;
      drawnAt = performance.now();
      draw();
    }, Math.max(0, drawnAt + DRAW_AGAIN_MS - performance.now()));
  }

  function draw() {
    const isDrawable = course.points.length >= 2;
    node.hidden = !isDrawable;
    if (!isDrawable) return;
    text(says, sentence(job, course));
    plots ??= [farPlot(far, () => ({ job, course }), point), fastPlot(fast, () => ({ job, course }), point)];
    for (const plot of plots) plot.draw();
    drawTable();
  }

  /** What stands under the pointer, in words. */
  function point(at) {
    if (at === null || at > course.points.at(-1).at) return text(pointed, "");
    const done = Math.round(doneAt(course.points, at));
    const rate = rates(course).find(({ from, to }) => from <= at && at <= to)?.rate ?? null;
    text(pointed, [words.clockTime(at * 1000), words.settled({ items_completed: done, items_skipped: 0, items_total: job.items_total, unit: job.unit }), rate === null ? null : words.rate(rate, job.unit)].filter(Boolean).join(" · "));
  }

  function drawTable() {
    if (!details.open || !course) return;
    const { points, earlier } = course;
    const every = Math.max(1, (points.length - 1) / (TABLE_ROWS - 1));
    const rows = Array.from({ length: Math.min(TABLE_ROWS, points.length) }, (_, n) => points[Math.round(n * every)]);
    const cell = (value, isHead) => el(isHead ? "th" : "td", isHead ? { scope: "row" } : { class: "number" }, value);
    const tableOf = (caption, heads, lines) => el("table", {},
      el("caption", {}, caption),
      el("thead", {}, el("tr", {}, heads.map((head, n) => el("th", { scope: "col", class: n ? "number" : null }, head)))),
      el("tbody", {}, lines.map((line) => el("tr", {}, line.map((value, n) => cell(value, n === 0))))));
    table.replaceChildren(
      tableOf("Done over time", ["At", "Done", "Rate"], rows.map((row, n) => [
        words.exactly(new Date(row.at * 1000).toISOString()), words.count(row.done),
        n === 0 || row.done < rows[n - 1].done || row.at === rows[n - 1].at ? words.UNKNOWN : words.rate((row.done - rows[n - 1].done) / (row.at - rows[n - 1].at), job.unit)])),
      ...(earlier.length ? [tableOf("Predicted earlier", ["At", "Would finish", "Likely between"], earlier.map(({ tenth, end, low, high }) => [
        `${tenth * 10} %`, words.clockTime(end * 1000), `${words.clockTime(low * 1000)} – ${words.clockTime(high * 1000)}`]))] : []));
  }

  const sized = new ResizeObserver(() => plots?.forEach((plot) => plot.resize()));
  sized.observe(far);
  const recolor = () => plots?.forEach((plot) => plot.draw());
  darkness.addEventListener("change", recolor);
  return {
    node,
    show(shown) {
      const isOther = job && (job.attempt !== shown.attempt || job.started_at !== shown.started_at);
      job = shown;
      if (isOther || Date.now() - readAt > READ_AGAIN_MS) read();
      if (!course) return;
      extend(course, job, Date.now() / 1000);
      drawSoon();
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      sized.disconnect();
      darkness.removeEventListener("change", recolor);
      plots?.forEach((plot) => plot.close());
    },
  };
}

/** The chart in words. */
function sentence(job, { earlier }) {
  const said = [`${words.settled(job)} after ${words.duration(job.time_processing_ms)} of work.`];
  if (job.eta_ms !== null) {
    const now = Date.now();
    const [low, high] = [job.eta_low_ms, job.eta_high_ms].map((eta) => words.clockTime(now + eta));
    said.push(low === high ? `Likely done at ${low}.` : `Likely done between ${low} and ${high}.`);
  }
  const first = earlier.find(({ tenth }) => tenth > 0);
  if (first) said.push(`At ${first.tenth * 10} % it was expected to end at ${words.clockTime(first.end * 1000)}${job.finished_at ? `; it ended at ${words.clockTime(Date.parse(job.finished_at))}` : ""}.`);
  return said.join(" ");
}

function colors(node) {
  const style = getComputedStyle(node);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

/** What both charts have in common: time from left to right, quiet axes, one pointer. */
function plotIn(node, height, scales, series, axisY, hooks, point, data) {
  const color = (name) => () => colors(node)(name);
  const axis = { stroke: color("quiet"), font: "11px ui-sans-serif, system-ui, sans-serif", ticks: { show: false }, grid: { stroke: color("line"), width: 1 } };
  const plot = new uPlot({
    width: Math.max(200, node.clientWidth), height, pxAlign: true, legend: { show: false }, padding: [10, 28, 0, 0],
    cursor: { sync: { key: "course" }, y: false, drag: { x: false, y: false }, points: { show: false } },
    scales,
    axes: [
      { ...axis, size: 28, grid: { show: false }, values: (_, marks) => marks.map((at) => words.mark(at, marks[1] - marks[0])), space: 84 },
      { ...axis, size: 56, values: (_, marks) => marks.map((value) => words.amount(value)), ...axisY },
    ],
    series: [{}, ...series],
    hooks: { setCursor: [(u) => point(u.cursor.idx === null || u.cursor.left < 0 ? null : u.posToVal(u.cursor.left, "x"))], ...hooks },
  }, data(), node);
  return {
    draw: () => plot.setData(data()),
    resize: () => node.clientWidth > 0 && plot.setSize({ width: node.clientWidth, height }),
    close: () => plot.destroy(),
  };
}

/** Where the job leads: the ends of its likely range, in seconds since 1970, while it has a finish time. */
function aheadOf({ job, course }) {
  if (job.eta_ms === null || job.items_total === null) return null;
  const now = Math.max(course.points.at(-1).at, Date.now() / 1000);
  const [mid, low, high] = [job.eta_ms, job.eta_low_ms, job.eta_high_ms].map((eta) => now + eta / 1000);
  return { now, done: course.points.at(-1).done, mid, low, high };
}

/** Both charts show the same time; a range that reaches far out does not squeeze what has been. */
function timeRange(state) {
  const { course: { beganS, points } } = state;
  const ahead = aheadOf(state);
  const last = points.at(-1).at;
  const end = ahead ? Math.min(ahead.high, ahead.now + 2.5 * Math.max(ahead.mid - ahead.now, last - beganS)) : last;
  return [Math.min(beganS, points[0].at), Math.max(end, last, beganS + 1)];
}

function farPlot(node, state, point) {
  const color = colors(node);
  function under(u) {
    const { job, course } = state();
    const total = job.items_total;
    if (total === null) return;
    const { ctx } = u;
    const x = (at) => u.valToPos(at, "x", true);
    const y = (done) => u.valToPos(done, "y", true);
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.lineWidth = devicePixelRatio;
    const line = (from, to, tone, dash) => {
      ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
      ctx.strokeStyle = color(tone);
      ctx.beginPath();
      ctx.moveTo(...from);
      ctx.lineTo(...to);
      ctx.stroke();
    };
    line([u.bbox.left, y(total)], [u.bbox.left + u.bbox.width, y(total)], "quiet", [1, 4]);
    for (const was of course.earlier) {
      // The latest one is the fan itself, as long as the job goes on.
      if (was.at < course.points.at(-1).at) line([x(was.at), y(was.done)], [x(was.end), y(total)], "earlier", [4, 4]);
    }
    const ahead = aheadOf(state());
    if (ahead) {
      ctx.fillStyle = color("fan");
      ctx.beginPath();
      ctx.moveTo(x(ahead.now), y(ahead.done));
      ctx.lineTo(x(ahead.low), y(total));
      ctx.lineTo(x(ahead.high), y(total));
      ctx.fill();
      line([x(ahead.now), y(ahead.done)], [x(ahead.mid), y(total)], "accent", [2, 3]);
    }
    ctx.restore();
  }
  return plotIn(node, 220,
    { x: { time: true, range: () => timeRange(state()) }, y: { range: (_, __, high) => [0, Math.max(1, 1.04 * Math.max(high, state().job.items_total ?? 0))] } },
    [{ stroke: () => color("accent"), width: 2, fill: () => color("wash"), points: { show: false } }],
    {}, { drawAxes: [under] }, point,
    () => {
      const { points } = state().course;
      return [points.map(({ at }) => at), points.map(({ done }) => done)];
    });
}

function fastPlot(node, state, point) {
  const color = colors(node);
  return plotIn(node, 120,
    { x: { time: true, range: () => timeRange(state()) }, y: { range: (_, __, high) => [0, 1.15 * (high || 1)] } },
    [{ stroke: () => color("good"), width: 1.5, paths: uPlot.paths.stepped({ align: -1 }), points: { show: false } }],
    { space: 36 }, {}, point,
    () => {
      const found = rates(state().course);
      if (!found.length) return [[], []];
      // A step leads up to its point, so the first one begins with a point of its own.
      return [[found[0].from, ...found.map(({ to }) => to)], [found[0].rate, ...found.map(({ rate }) => rate)]];
    });
}
