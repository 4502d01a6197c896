// What the tests of the page stand on: the local stack and tenants that pytest prepared, a worker, and a browser.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

/** {url, publishable_key, tenants: [{tenant_id, worker_key, operator_key, owner, teammate, stranger, both, expired}]} */
export const given = JSON.parse(process.env.STAGE);

let taken = 0;

/** A tenant that no other test uses. */
export function newTenant() {
  assert.ok(taken < given.tenants.length, "pytest has to prepare more tenants");
  return given.tenants[taken++];
}

async function api(key, method, path, body) {
  const answer = await fetch(given.url + path, {
    method, headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }, body: body && JSON.stringify(body),
  });
  const said = await answer.json();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${JSON.stringify(said)}`);
  return said;
}

/** A worker posts checkpoints; the answer's results. */
export async function checkpoint(tenant, ...entries) {
  const { results, errors } = await api(tenant.worker_key, "POST", "/v1/checkpoints", entries);
  assert.deepEqual(errors, []);
  return results;
}

/** The user whom a token names. */
export const userOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).sub;

export const create = async (tenant, job) => api(tenant.worker_key, "POST", "/v1/jobs", job);
export const control = async (tenant, job, verb, body = {}) => api(tenant.operator_key, "POST", `/v1/jobs/${job}/${verb}`, body);
export const read = async (tenant, job) => api(tenant.operator_key, "GET", `/v1/jobs/${job}`);

/** Faults of the Realtime stand-in, for the whole stack; none end them. */
export async function misbehave(how = {}) {
  const answer = await fetch(`${given.url}/realtime/v1/misbehave`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(how) });
  assert.ok(answer.ok, await answer.text());
}

/** Waits until `look` finds what is wanted; fails with what it found last. */
export async function eventually(look, patienceMs = 30_000) {
  const end = performance.now() + patienceMs;
  let trouble;
  do {
    try {
      return await look();
    } catch (error) {
      trouble = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  } while (performance.now() < end);
  throw trouble;
}

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}
