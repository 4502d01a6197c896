// Tells on the desktop when a job has ended, where the reader asked for it. Works while a tab with Milepost is open.

import * as words from "./words.js";

const KEPT = "milepost.awaited";
const awaited = new Set(JSON.parse(localStorage.getItem(KEPT) ?? "[]"));

export const canNotify = "Notification" in window;
export const isAwaited = (jobId) => awaited.has(jobId);

/** Asks to be told of this job's end, or no more. Returns whether it will be; the browser may refuse. */
export async function setAwaited(jobId, isWanted) {
  if (isWanted && (await Notification.requestPermission()) !== "granted") return false;
  if (isWanted) awaited.add(jobId);
  else awaited.delete(jobId);
  localStorage.setItem(KEPT, JSON.stringify([...awaited]));
  return isWanted;
}

/** Takes what a job is now; tells once that it has ended. */
export function tellOfEnd(job) {
  if (!awaited.has(job.job_id) || !words.ENDED.has(job.state)) return;
  setAwaited(job.job_id, false);
  const told = new Notification(`${words.STATES[job.state]}: ${job.name}`, { body: job.error ?? words.settled(job), tag: job.job_id });
  told.addEventListener("click", () => {
    window.focus();
    location.hash = `#/jobs/${job.job_id}`;
  });
}
