// The gap-free client with unmodified supabase-js against the local stack, whose Realtime misbehaves.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { createClient } from "@supabase/supabase-js";
import WebSocket from "ws";

import { events, polling, watchJob, watchTenant } from "../../public/milepost.js";
import { checkpoint, create, eventually, given, misbehave, newTenant } from "./stage.mjs";

const clients = [];

function signedIn(token) {
  const client = createClient(given.url, given.publishable_key, { accessToken: async () => token, realtime: { transport: WebSocket } });
  clients.push(client);
  return client;
}

after(async () => {
  await misbehave();
  for (const client of clients) await client.realtime.disconnect();
});

const states = (said) => ({ onStatus: ({ state }) => said.push(state) });

test("the picture equals the database after a third of the messages was lost, doubled or reordered, and a cut", async () => {
  const tenant = newTenant();
  const client = signedIn(tenant.owner);
  const names = ["a", "b", "c", "d"];
  const jobs = await Promise.all(names.map((job) => create(tenant, { job, items_total: 100 })));
  const said = [];
  const heard = [];
  const listed = watchTenant(client, tenant.tenant_id, { refreshMs: 1000, onEvent: (event) => heard.push(event), ...states(said) });
  const single = watchJob(client, jobs[0].job_id, { refreshMs: 1000 });
  await eventually(() => assert.equal(said.at(-1), "live"));

  await misbehave({ drop: 0.3, double: 0.3, reorder: 0.3, delay_s: 0.02, seed: 1 });
  for (let n = 1; n <= 40; n++) {
    await checkpoint(tenant, ...names.map((job) => ({ job, seq: n, items_completed: n * 2, stage: { name: n < 20 ? "one" : "two" }, message: `step ${n}` })));
    if (n === 20) await misbehave({ drop: 0.3, double: 0.3, reorder: 0.3, delay_s: 0.02, seed: 2, cut: true });
  }
  await checkpoint(tenant, ...names.map((job) => ({ job, seq: 99, items_completed: 100, state: "completed" })));

  // What depends on now stands still once a job has ended.
  const truth = async () => (await client.schema("milepost").rpc("search_jobs", {})).data.jobs;
  await eventually(async () => {
    assert.deepEqual(listed.jobs.map(plain), (await truth()).map(plain));
    assert.deepEqual(plain(single.job), plain((await client.schema("milepost").rpc("get_job_progress", { job_id: jobs[0].job_id })).data));
  });
  assert.ok(listed.jobs.every(({ state }) => state === "completed"));
  assert.notEqual(heard.length, 0);
  listed.close();
  single.close();
});

test("a message arrives by the private channel without a read", async () => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "quick", items_total: 10 });
  const client = signedIn(tenant.owner);
  const said = [];
  const changes = [];
  const watched = watchJob(client, id, { refreshMs: 1e9, partsMs: 1e9, onChange: ({ items_completed: n }) => changes.push(n), ...states(said) });
  await eventually(() => assert.ok(said.at(-1) === "live" && watched.job));
  await checkpoint(tenant, { job: "quick", items_completed: 4 });
  await eventually(() => assert.equal(changes.at(-1), 4));
  watched.close();
});

test("where no websocket gets through, the functions' events carry the messages", async () => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "behind a proxy", items_total: 10 });
  const client = signedIn(tenant.owner);
  const noWebsocket = { name: "realtime", open: (topic, sink) => (sink.down("no websocket"), () => {}) };
  const transports = [noWebsocket, events(client, given.url), polling({ everyMs: 1e9 })];
  const said = [];
  const options = { refreshMs: 1e9, partsMs: 1e9, transports, onStatus: ({ state, via, reason }) => said.push([state, via, reason]) };
  const listed = watchTenant(client, tenant.tenant_id, options);
  const single = watchJob(client, id, options);
  await eventually(() => assert.equal(said.filter(([, via]) => via === "events").length, 2));
  await checkpoint(tenant, { job: "behind a proxy", items_completed: 4 });
  await eventually(() => assert.deepEqual([listed.job(id), single.job].map((job) => job.items_completed), [4, 4]));
  assert.deepEqual(said.at(-1), ["live", "events", "no websocket"]);
  listed.close();
  single.close();
});

test("a stranger's stream of events has nothing of others, and a token that has expired is refused in words", async () => {
  const tenant = newTenant();
  await create(tenant, { job: "private", items_total: 10 });
  const said = [];
  const follow = (token) => {
    const client = signedIn(token);
    return watchTenant(client, tenant.tenant_id, { transports: [events(client, given.url), polling()], onStatus: (status) => said.push(status) });
  };
  const strange = follow(tenant.stranger);
  await eventually(() => assert.ok(strange.loaded && said.at(-1).via === "events"));
  await checkpoint(tenant, { job: "private", items_completed: 5 });
  assert.deepEqual(strange.jobs, []);
  strange.close();
  const late = follow(tenant.expired);
  await eventually(() => assert.match(said.at(-1).reason ?? "", /expired/));
  late.close();
});

test("a cut connection is noticed, bridged and mended", async () => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "cut", items_total: 10 });
  const said = [];
  const watched = watchJob(signedIn(tenant.owner), id, { refreshMs: 1e9, ...states(said) });
  await eventually(() => assert.equal(said.at(-1), "live"));
  await misbehave({ cut: true });
  await checkpoint(tenant, { job: "cut", items_completed: 5 });
  await eventually(() => {
    assert.deepEqual(said.slice(-2), ["polling", "live"]);
    assert.equal(watched.job.items_completed, 5);
  });
  watched.close();
});

test("a stranger gets neither the job nor its channel, and hears no difference to an absent one", async () => {
  const tenant = newTenant();
  const { job_id: id } = await create(tenant, { job: "private", items_total: 10 });
  const client = signedIn(tenant.stranger);
  const errors = [];
  const heard = [];
  for (const wanted of [id, "00000000-0000-4000-8000-000000000000"]) {
    const seen = [];
    errors.push(seen);
    watchJob(client, wanted, { onError: ({ code, status }) => seen.push([code, status]), onEvent: (event) => heard.push(event) });
  }
  await eventually(() => assert.ok(errors.every((seen) => seen.length > 0)));
  await checkpoint(tenant, { job: "private", items_completed: 5 });
  assert.deepEqual(errors, [[["job_not_found", 404]], [["job_not_found", 404]]]);

  // Even one who knows the tenant's id is refused its channel, and polls what is nothing.
  const said = [];
  const listed = watchTenant(signedIn(tenant.stranger), tenant.tenant_id, { onEvent: (event) => heard.push(event), onStatus: (status) => said.push(status) });
  await eventually(() => assert.match(said.at(-1).reason ?? "", /Unauthorized/), 15_000);
  assert.equal(said.at(-1).state, "polling");
  assert.deepEqual(listed.jobs, []);
  assert.deepEqual(heard, []);
  listed.close();
});

/** A job without what is written differently by different reads. */
function plain({ created_at, started_at, finished_at, last_checkpoint_at, last_progress_at, estimated_completion_at, ...job }) {
  const times = [created_at, started_at, finished_at, last_checkpoint_at, last_progress_at, estimated_completion_at];
  return { ...job, times: times.map((time) => time && Math.floor(Date.parse(time))) };
}
