// A course as its checkpoints tell it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { doneAt, extend, makeCourse, rates } from "../../public/course.js";

const told = (points, predictions = []) => makeCourse({ checkpoints: points.map(([t, done]) => ({ t, done, total: 100 })), predictions }, 1000);
const job = (done, at) => ({ items_completed: done, items_failed: 0, items_skipped: 0, items_canceled: 0, items_total: 100, last_checkpoint_at: new Date(at * 1000).toISOString() });

test("what was done between two checkpoints lies between them", () => {
  const { points } = told([[0, 0], [10, 20], [10, 30], [20, 40]]);
  assert.deepEqual([990, 1000, 1005, 1015, 1020, 1030].map((at) => doneAt(points, at)), [0, 0, 10, 35, 40, 40]);
  assert.equal(doneAt([], 1000), 0);
});

test("a rate is what was done in a time, and unknown where a new attempt fell back", () => {
  assert.deepEqual(rates(told([[0, 0], [10, 20], [20, 10], [30, 15]])), [
    { from: 1000, to: 1010, rate: 2 }, { from: 1010, to: 1020, rate: null }, { from: 1020, to: 1030, rate: 0.5 },
  ]);
  assert.deepEqual(rates(told([[0, 0]])), []);
});

test("checkpoints that came at once make no infinite rate", () => {
  for (const { rate } of rates(told([[0, 0], [0, 50], [0, 60], [100, 70], [100, 80]]))) assert.ok(rate === null || Number.isFinite(rate));
});

test("what the job is now is added once, at its last checkpoint", () => {
  const course = told([[0, 0], [10, 20]]);
  extend(course, job(20, 1015), 1016); // stands where it stood
  extend(course, job(30, 1009), 1016); // older than what is known
  extend(course, job(40, 1015), 1016);
  extend(course, job(5, 1015), 1020); // a new attempt begins at its cursor
  assert.deepEqual(course.points.map(({ at, done }) => [at, done]), [[1000, 0], [1010, 20], [1015, 40], [1020, 5]]);
});

test("a course that is watched for long stays short, and keeps its ends", () => {
  const course = told([[0, 0]]);
  for (let n = 1; n <= 5000; n++) extend(course, job(n, 1000 + n), 1000 + n);
  assert.ok(course.points.length <= 400);
  assert.deepEqual([course.points[0].done, course.points.at(-1).done], [0, 5000]);
});

test("earlier predictions begin where the job was then", () => {
  const { earlier } = told([[0, 0], [10, 20]], [
    { tenth: 0, t: 0, eta_ms: null, eta_low_ms: null, eta_high_ms: null, true_ms: null },
    { tenth: 1, t: 5, eta_ms: 45_000, eta_low_ms: 40_000, eta_high_ms: 60_000, true_ms: null },
  ]);
  assert.deepEqual(earlier, [{ tenth: 1, at: 1005, done: 10, end: 1050, low: 1045, high: 1065 }]);
});
