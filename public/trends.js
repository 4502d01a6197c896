// How runs went over time, as three small charts under one pointer: duration, speed, failures.

import { el, text } from "./dom.js";
import uPlot from "./vendor/uplot.js";
import * as words from "./words.js";

const HEIGHT = 150;
const dayOf = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const hourOf = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const timeOf = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const share = (value) => words.percent(value === null ? null : value * 100);
const speed = (value) => words.rate(value, "items");

// Steps of an axis that people count time in.
const TIMES = [1, 2, 5, 10, 20, 50, 100, 200, 500, ...[1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000].map((s) => s * 1000)];

const CHARTS = {
  duration: {
    title: "Duration",
    steps: TIMES,
    lines: [
      ["Median", "accent", (group) => group.duration_p50_ms, words.duration],
      ["p95", "warn", (group) => group.duration_p95_ms, words.duration],
    ],
  },
  speed: { title: "Throughput", lines: [["Median", "good", (group) => group.items_per_s_p50, speed]] },
  failures: { title: "Failure rate", lines: [["Failed", "bad", (group) => group.failure_rate, share]], areBars: true, least: 0.05 },
};

for (const href of ["vendor/uplot.css", "history.css"]) {
  if (!document.querySelector(`link[href="${href}"]`)) document.head.append(el("link", { rel: "stylesheet", href }));
}

/** @returns {{node, show: (groups, by) => void, close: () => void}} `groups` as job_history_stats gives them by hour or day */
export function trends() {
  let groups = [];
  let said = dayOf;
  const charts = Object.entries(CHARTS).map(([name, chart]) => makeChart(name, chart, () => groups, (ms) => said.format(ms), point));
  const table = el("div", { class: "scrolls", tabindex: 0, role: "region", "aria-label": "Trends as a table" });
  const details = el("details", { on: { toggle: drawTable } }, el("summary", {}, "Trends as a table"), table);
  const node = el("section", { class: "trends", "aria-label": "Trends" }, el("div", { class: "plots" }, ...charts.map((chart) => chart.node)), details);

  function point(place) {
    for (const chart of charts) chart.point(place);
  }

  function drawTable() {
    if (!details.open) return;
    const lines = Object.values(CHARTS).flatMap(({ title, lines: all }) => all.map(([label, , value, say]) => [all.length > 1 ? `${title}, ${label.toLowerCase()}` : title, value, say]));
    table.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "From"), el("th", { scope: "col", class: "number" }, "Runs"), ...lines.map(([label]) => el("th", { scope: "col", class: "number" }, label)))),
      el("tbody", {}, groups.filter(({ runs }) => runs).map((group) => el("tr", {},
        el("th", { scope: "row" }, said.format(group.ms)), el("td", { class: "number" }, words.count(group.runs)),
        ...lines.map(([, value, say]) => el("td", { class: "number" }, say(value(group)))))))));
  }

  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const draw = () => charts.forEach((chart) => chart.draw());
  const sized = new ResizeObserver(() => charts.forEach((chart) => chart.resize()));
  sized.observe(node);
  darkness.addEventListener("change", draw);
  return {
    node,
    show(found, by) {
      said = by === "hour" ? hourOf : dayOf;
      groups = withGaps(found, by);
      node.hidden = found.length === 0;
      draw();
      drawTable();
    },
    close() {
      sized.disconnect();
      darkness.removeEventListener("change", draw);
      for (const chart of charts) chart.close();
    },
  };
}

/** The groups with an empty one for each hour or day between them in which nothing ended: a line must not lead across it. */
export function withGaps(groups, by) {
  const filled = [];
  for (const group of groups) {
    const ms = Date.parse(group.at);
    while (filled.length && following(filled.at(-1).ms, by) < ms) {
      filled.push({ ms: following(filled.at(-1).ms, by), runs: 0, duration_p50_ms: null, duration_p95_ms: null, items_per_s_p50: null, failure_rate: null });
    }
    filled.push({ ...group, ms });
  }
  return filled;
}

function following(ms, by) {
  if (by === "hour") return ms + 3_600_000;
  const at = new Date(ms);
  // Days of the reader's zone: not all have 24 hours.
  return at.setDate(at.getDate() + 1);
}

/** From when to when a chart goes, in seconds since 1970. uPlot's own range of a single moment is three years. */
export function span(groups, areBars) {
  const [low, high] = [groups[0].ms / 1000, groups.at(-1).ms / 1000];
  if (low === high) return [low - 39_600, high + 39_600]; // eleven hours, so that noon is no mark at the edge
  const room = areBars ? (high - low) / 40 : 0;
  return [low - room, high + room];
}

/** A mark of the axis: the day at midnight, else the hour, since both would not fit. */
function tick(ms) {
  const at = new Date(ms);
  return (at.getHours() === 0 && at.getMinutes() === 0 ? dayOf : timeOf).format(at);
}

function makeChart(name, { title, lines, steps, areBars = false, least = 0 }, groups, when, point) {
  const id = `trend-${name}`;
  const says = el("p", { class: "says", id });
  const canvas = el("div", { class: "trend", role: "img", "aria-labelledby": id });
  const legend = lines.length > 1 ? el("ul", { class: "keys", "aria-hidden": true }, ...lines.map(([label, tone]) => el("li", { "data-tone": tone }, el("i"), label))) : null;
  const node = el("div", { class: "chart" }, el("h2", {}, title), legend, says, canvas);
  const color = (tone) => getComputedStyle(canvas).getPropertyValue(`--${tone}`).trim();
  let plot = null;

  function newest() {
    return groups().findLast((group) => lines.some(([, , value]) => value(group) !== null));
  }

  function make() {
    const axis = { font: "11px ui-sans-serif, system-ui, sans-serif", stroke: () => color("quiet"), ticks: { show: false }, grid: { stroke: () => color("line"), width: 1 } };
    return new uPlot({
      width: Math.max(120, canvas.clientWidth), height: HEIGHT, legend: { show: false }, padding: [8, 16, 0, 0],
      cursor: { y: false, drag: { x: false, y: false }, sync: { key: "history" }, points: { show: !areBars } },
      scales: {
        x: { time: true, range: () => span(groups(), areBars) },
        y: { range: (_, low, high) => [0, Math.max(least, 1.1 * (high || 1))] },
      },
      axes: [
        { ...axis, size: 28, grid: { show: false }, space: 64, values: (_, marks) => marks.map((at) => tick(at * 1000)) },
        { ...axis, ...(steps && { incrs: steps }), size: 80, space: 34, values: (_, marks) => marks.map(lines[0][3]) },
      ],
      series: [{}, ...lines.map(([, tone]) => ({
        stroke: () => color(tone), width: areBars ? 0 : 1.75, fill: areBars ? () => color(tone) : undefined,
        paths: areBars ? uPlot.paths.bars({ size: [0.7, 24] }) : undefined, points: areBars ? { show: false } : { show: groups().length < 60, size: 5, fill: () => color(tone) },
      }))],
      hooks: { setCursor: [(u) => point(u.cursor.left < 0 ? null : u.cursor.idx)] },
    }, data(), canvas);
  }

  const data = () => [groups().map(({ ms }) => ms / 1000), ...lines.map(([, , value]) => groups().map((group) => value(group)))];
  const sentence = (group) => (group ? `${when(group.ms)}: ${lines.map(([label, , value, say]) => `${label.toLowerCase()} ${say(value(group))}`).join(", ")}` : words.UNKNOWN);
  return {
    node,
    draw() {
      // A chart in what is hidden has no width yet.
      plot?.destroy();
      plot = make();
      text(says, sentence(newest()));
    },
    point(place) {
      text(says, sentence(place === null ? newest() : groups()[place]));
    },
    resize() {
      if (plot && canvas.clientWidth > 0) plot.setSize({ width: canvas.clientWidth, height: HEIGHT });
    },
    close() {
      plot?.destroy();
    },
  };
}
