// The course of a job, from its checkpoints: what a chart or a table of it is drawn from. No page is needed here.

const MOST_POINTS = 400;
const RATES = 48; // a rate is taken over about so much of the whole

/**
 * @param {{checkpoints: {t, done, total}[], predictions: object[]}} told by job_predictions; t in seconds since it began
 * @param {number} beganS when that was, in seconds since 1970
 */
export function makeCourse({ checkpoints, predictions }, beganS) {
  const points = checkpoints.map(({ t, done, total }) => ({ at: beganS + t, done, total }));
  return {
    beganS,
    points,
    earlier: predictions
      .filter(({ eta_ms: eta }) => eta !== null)
      .map(({ tenth, t, eta_ms, eta_low_ms, eta_high_ms }) => ({
        tenth, at: beganS + t, done: doneAt(points, beganS + t),
        end: beganS + t + eta_ms / 1000, low: beganS + t + eta_low_ms / 1000, high: beganS + t + eta_high_ms / 1000,
      })),
  };
}

/** What of a job is settled, as its checkpoints count it. */
export function settledOf(job) {
  return job.items_completed + job.items_failed + job.items_skipped + job.items_canceled;
}

/** Adds what the job is now, at the time of its last checkpoint; a new attempt falls back to its cursor without one. */
export function extend(course, job, nowS) {
  const { points } = course;
  const done = settledOf(job);
  const last = points.at(-1);
  const atS = done < last?.done ? nowS : Date.parse(job.last_checkpoint_at) / 1000;
  if (!(atS > (last?.at ?? 0)) || last?.done === done) return;
  points.push({ at: atS, done, total: job.items_total });
  // Of a long watch every other point is enough, save for the latest.
  if (points.length > MOST_POINTS) course.points = points.filter((_, n) => n % 2 === 0 || n > points.length - 20);
}

/** Items a second between points that are far enough apart to mean something; null where it went back, as a new attempt does. */
export function rates(course) {
  const { points } = course;
  if (points.length < 2) return [];
  const step = (points.at(-1).at - points[0].at) / RATES;
  const found = [];
  let from = points[0];
  for (const point of points.slice(1)) {
    const isBack = point.done < from.done;
    if (!isBack && point.at - from.at < step) continue;
    found.push({ from: from.at, to: point.at, rate: isBack || point.at === from.at ? null : (point.done - from.done) / (point.at - from.at) });
    from = point;
  }
  return found;
}

/** How much was done at that time, between the points around it. */
export function doneAt(points, at) {
  const n = points.findIndex((point) => point.at >= at);
  if (n === -1) return points.at(-1)?.done ?? 0;
  if (n === 0) return points[0].done;
  const [a, b] = [points[n - 1], points[n]];
  return b.at === a.at ? b.done : a.done + ((b.done - a.done) * (at - a.at)) / (b.at - a.at);
}
