// The gap-free client in a world that misbehaves, on a clock of its own.

import assert from "node:assert/strict";
import { test } from "node:test";

import { polling, watchJob, watchTenant } from "../../public/milepost.js";
import { VirtualClock, seeded } from "./virtual_clock.mjs";
import { World } from "./world.mjs";

const SEEDS = 60;
const CALM = { drop: 0, double: 0, late: 0, failingReads: 0 };
const QUIET_MS = 60_000; // two regular reads with failures in between

function begin(seed, watch, options = {}) {
  const clock = new VirtualClock();
  const world = new World(clock, seeded(seed));
  for (let n = 0; n < 12; n++) world.addJob();
  const said = [];
  const given = {
    transports: [world.transport(), polling()], clock, random: seeded(seed + 1),
    onStatus: ({ state, via, reason }) => said.push({ state, via, reason }), ...options,
  };
  return { clock, world, said, watched: watch(world, given) };
}

const tenant = (world, options) => watchTenant(world.client, "tenant", options);
const job = (world, options) => watchJob(world.client, "job-003", options);

/** Steps, cuts and pauses at random; nothing is awaited but the clock. */
async function live({ clock, world }, steps, random, look = () => {}) {
  for (let n = 0; n < steps; n++) {
    world.step();
    if (random() < 0.01) world.cut();
    await clock.advance(random() * 300);
    look();
  }
}

test("a tenant's jobs equal the database after drops, doubles, delays, reordering and cuts", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = begin(seed, tenant, { pageSize: 200 });
    await live(run, 150, seeded(seed + 2));
    await run.clock.advance(QUIET_MS);
    assert.deepEqual(run.watched.jobs, run.world.list(), `seed ${seed}`);
    run.watched.close();
    assert.equal(run.world.listeners, 0);
  }
});

test("so does a job that is watched alone", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = begin(seed, job);
    await live(run, 150, seeded(seed + 2));
    await run.clock.advance(QUIET_MS);
    assert.deepEqual(run.watched.job, run.world.jobs.get("job-003"), `seed ${seed}`);
    run.watched.close();
  }
});

test("and a filtered list of several pages", async () => {
  const filter = { state: ["running", "retrying"], kind: ["kind-0", "kind-1"] };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const run = begin(seed, tenant, { pageSize: 3, filter });
    run.world.mischief.failingReads = 0;
    const random = seeded(seed + 2);
    await live(run, 60, random);
    await run.clock.advance(QUIET_MS);
    while (run.watched.hasMore) {
      const more = run.watched.more();
      await run.clock.advance(1000);
      await more;
    }
    for (let n = 0; n < 60; n++) {
      const ids = run.watched.jobs.map(({ job_id: id }) => id);
      // What is not on a loaded page may come into view by a state of its own choice only on the first one.
      if (ids.length && random() < 0.7) run.world.progress(ids[Math.floor(random() * ids.length)]);
      else if (ids.length) run.world.changeState(ids[Math.floor(random() * ids.length)], ["running", "paused", "retrying"][n % 3]);
      await run.clock.advance(random() * 300);
    }
    await run.clock.advance(QUIET_MS);
    assert.deepEqual(run.watched.jobs, run.world.list(filter), `seed ${seed}`);
    run.watched.close();
  }
});

test("what is shown never falls behind its version, and no version goes back", async () => {
  const wrong = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const last = new Map();
    const run = begin(seed, tenant, { pageSize: 200 });
    await live(run, 100, seeded(seed + 2), () => {
      for (const { job_id: id, version, items_completed: shown } of run.watched.jobs) {
        if (version < (last.get(id) ?? 0)) wrong.push(`seed ${seed}: ${id} went back to ${version}`);
        if (shown < (run.world.history.get(`${id} ${version}`) ?? 0)) wrong.push(`seed ${seed}: ${id} is older than ${version}`);
        last.set(id, version);
      }
    });
    run.watched.close();
  }
  assert.deepEqual(wrong, []);
});

test("the next message that arrives mends what was lost before it, without a regular read", async () => {
  for (const watch of [tenant, job]) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const run = begin(seed, watch, { refreshMs: 1e9, pageSize: 200 });
      await run.clock.advance(5000);
      for (let n = 0; n < 100; n++) {
        run.world.step();
        await run.clock.advance(100);
      }
      await run.clock.advance(5000);
      run.world.mischief.drop = 0;
      for (const id of run.world.jobs.keys()) run.world.progress(id);
      await run.clock.advance(QUIET_MS);
      const [shown, truth] = watch === tenant ? [run.watched.jobs, run.world.list()] : [run.watched.job, run.world.jobs.get("job-003")];
      assert.deepEqual(shown, truth, `seed ${seed}`);
      run.watched.close();
    }
  }
});

test("a read that an event overtook is read again, since what was missed before is in no event", async () => {
  const run = begin(1, tenant, { refreshMs: 1e9, pageSize: 200 });
  run.world.mischief = { ...CALM };
  run.world.readMs = { before: () => 0, after: () => 1000 };
  await run.clock.advance(5000);
  run.world.mischief.drop = 1;
  run.world.changeStage("job-003");
  run.world.mischief.drop = 0;
  run.world.progress("job-003"); // shows the hole
  await run.clock.advance(500); // the read has looked, and its answer is on its way
  run.world.progress("job-003");
  await run.clock.advance(5000);
  assert.deepEqual(run.watched.job("job-003"), run.world.jobs.get("job-003"));
  run.watched.close();
});

test("each event is handed on once and never late", async () => {
  const heard = [];
  const run = begin(7, job, { onEvent: ({ version }) => heard.push(version) });
  run.world.mischief = { drop: 0.2, double: 0.5, late: 0.5, failingReads: 0 };
  await run.clock.advance(2000);
  for (let n = 0; n < 200; n++) {
    if (n % 2) run.world.progress("job-003");
    else run.world.changeItem("job-003");
    await run.clock.advance(50);
  }
  assert.ok(heard.length > 50);
  assert.deepEqual(heard, [...new Set(heard)].sort((a, b) => a - b));
  run.watched.close();
});

test("a job goes from a filtered list, and comes back, with its event alone", async () => {
  const run = begin(1, tenant, { refreshMs: 1e9, pageSize: 200, filter: { state: ["running"] } });
  run.world.mischief = { ...CALM };
  await run.clock.advance(5000);
  const [{ job_id: id }] = run.watched.jobs;
  const before = run.world.reads;
  run.world.changeState(id, "paused");
  await run.clock.advance(5);
  assert.equal(run.watched.job(id), null);
  run.world.changeState(id, "running");
  await run.clock.advance(5);
  assert.equal(run.watched.job(id).state, "running");
  assert.equal(run.world.reads, before);
  run.watched.close();
});

test("a read that looked before a job came back does not take it away", async () => {
  const run = begin(1, tenant, { refreshMs: 1e9, pageSize: 200, filter: { state: ["running"] } });
  run.world.mischief = { ...CALM };
  await run.clock.advance(5000);
  const [{ job_id: id }] = run.watched.jobs;
  run.world.changeState(id, "paused");
  await run.clock.advance(5000);
  run.world.readMs = { before: () => 0, after: () => 500 };
  run.watched.refresh();
  await run.clock.advance(100);
  run.world.changeState(id, "running");
  for (let n = 0; n < 20; n++) {
    await run.clock.advance(50);
    assert.equal(run.watched.job(id)?.state, "running", `${n * 50} ms later`);
  }
  run.watched.close();
});

test("the next event changes the row without a read", async () => {
  const run = begin(1, tenant, { refreshMs: 1e9 });
  run.world.mischief = { ...CALM };
  await run.clock.advance(5000);
  const before = run.world.reads;
  for (let n = 0; n < 20; n++) {
    run.world.progress("job-003");
    await run.clock.advance(20);
  }
  assert.equal(run.world.reads, before);
  assert.equal(run.watched.job("job-003").items_completed, run.world.jobs.get("job-003").items_completed);
  run.watched.close();
});

test("many holes at once are one read", async () => {
  const run = begin(1, tenant, { refreshMs: 1e9 });
  run.world.mischief = { ...CALM };
  await run.clock.advance(5000);
  const before = run.world.reads;
  run.world.mischief.drop = 1;
  for (const id of run.world.jobs.keys()) run.world.progress(id);
  run.world.mischief.drop = 0;
  for (const id of run.world.jobs.keys()) run.world.progress(id);
  await run.clock.advance(2000);
  assert.equal(run.world.reads, before + 1);
  assert.deepEqual(run.watched.jobs, run.world.list());
  run.watched.close();
});

test("a snapshot is read once messages flow, so that nothing falls between", async () => {
  const clock = new VirtualClock();
  const world = new World(clock, seeded(3));
  world.mischief = { ...CALM };
  world.joinMs = () => 3000;
  world.addJob("job-003");
  const watched = watchJob(world.client, "job-003", { transports: [world.transport(), polling()], clock, random: seeded(4), refreshMs: 1e9 });
  await clock.advance(2000);
  assert.ok(watched.job, "there is a first look before that");
  world.progress("job-003");
  await clock.advance(2000);
  assert.deepEqual(watched.job, world.jobs.get("job-003"));
  watched.close();
});

test("without the stream it polls, and climbs back when the stream is there again", async () => {
  const run = begin(5, tenant);
  run.world.mischief = { ...CALM };
  await run.clock.advance(2000);
  assert.deepEqual(run.said.at(-1), { state: "live", via: "stream", reason: null });

  run.world.isReachable = false;
  run.world.cut("server restarts");
  await run.clock.advance(100);
  assert.deepEqual(run.said.at(-1), { state: "polling", via: "polling", reason: "server restarts" });
  run.world.progress("job-003");
  await run.clock.advance(2500);
  assert.equal(run.watched.job("job-003").version, run.world.jobs.get("job-003").version);

  run.world.isReachable = true;
  await run.clock.advance(31_000);
  assert.deepEqual(run.said.at(-1), { state: "live", via: "stream", reason: null });
  const before = run.world.reads;
  await run.clock.advance(10_000);
  assert.ok(run.world.reads - before <= 1, "it stopped polling");
  run.watched.close();
});

test("a third transport between the two is used while the first is away", async () => {
  const clock = new VirtualClock();
  const [best, second] = [new World(clock, seeded(1)), new World(clock, seeded(2))];
  best.isReachable = false;
  const said = [];
  second.mischief = best.mischief = { ...CALM };
  second.addJob("job-003");
  const watched = watchJob(second.client, "job-003", {
    transports: [best.transport("realtime"), second.transport("events"), polling()], clock, random: seeded(3),
    onStatus: ({ state, via }) => said.push(`${state} ${via}`),
  });
  await clock.advance(2000);
  assert.equal(said.at(-1), "live events");
  second.progress("job-003");
  await clock.advance(10);
  assert.equal(watched.job.version, second.jobs.get("job-003").version);
  second.isReachable = false;
  second.cut();
  await clock.advance(10);
  assert.equal(said.at(-1), "polling polling");
  best.isReachable = second.isReachable = true;
  await clock.advance(31_000);
  assert.equal(said.at(-1), "live realtime");
  watched.close();
});

test("tries to reconnect come at growing, scattered intervals", async () => {
  const tries = [];
  const clock = new VirtualClock();
  const world = new World(clock, seeded(1));
  const transport = {
    name: "stream",
    open(topic, sink) {
      tries.push(clock.now());
      clock.setTimeout(() => sink.down("away"), 0);
      return () => {};
    },
  };
  world.addJob("job-003");
  const watched = watchJob(world.client, "job-003", { transports: [transport, polling()], clock, random: seeded(9) });
  await clock.advance(300_000);
  const gaps = tries.slice(1).map((at, n) => at - tries[n]);
  for (const [n, gap] of gaps.entries()) {
    const full = Math.min(30_000, 500 * 2 ** n);
    assert.ok(gap >= full / 2 && gap <= full, `gap ${n}: ${gap}`);
  }
  assert.ok(gaps.length > 10 && gaps.length < 25);
  assert.ok(new Set(gaps.slice(7).map(Math.round)).size > 2);
  watched.close();
});

test("a job that is not there ends the watch", async () => {
  const errors = [];
  const clock = new VirtualClock();
  const world = new World(clock, seeded(1));
  world.mischief.failingReads = 0;
  watchJob(world.client, "absent", { transports: [world.transport(), polling()], clock, onError: ({ code }) => errors.push(code) });
  await clock.advance(60_000);
  assert.deepEqual(errors, ["job_not_found"]);
  assert.equal(clock.waiting, 0);
});

test("reads that fail are told, tried again, and leave the last picture", async () => {
  const errors = [];
  const run = begin(1, tenant, { onError: ({ status }) => errors.push(status) });
  run.world.mischief = { ...CALM };
  await run.clock.advance(3000);
  run.world.isReachable = false;
  run.world.mischief.failingReads = 1;
  run.world.cut();
  await run.clock.advance(5000);
  assert.equal(run.said.at(-1).state, "unreachable");
  assert.ok(errors.length > 1 && errors.every((status) => status === 503));
  assert.equal(run.watched.jobs.length, run.world.jobs.size);
  run.world.mischief.failingReads = 0;
  await run.clock.advance(31_000);
  assert.equal(run.said.at(-1).state, "polling");
  run.watched.close();
});

test("the answer to an earlier search is not shown under a later one", async () => {
  const seen = new Set();
  const run = begin(1, tenant, { pageSize: 200, onChange: () => run.watched.jobs.forEach(({ name }) => seen.add(name)) });
  run.world.mischief = { ...CALM };
  await run.clock.advance(3000);
  run.watched.setFilter({ q: "job-003" });
  await run.clock.advance(10);
  seen.clear();
  run.watched.setFilter({ q: "job-004" });
  await run.clock.advance(5000);
  assert.deepEqual([...seen], ["job-004"]);
  run.watched.close();
});

test("closing ends every timer and connection", async () => {
  for (const wait of [0, 50, 150, 500, 5000]) {
    const run = begin(wait + 1, tenant);
    await run.clock.advance(wait);
    run.watched.close();
    await run.clock.advance(1000);
    assert.equal(run.clock.waiting, 0, `closed after ${wait} ms`);
    assert.equal(run.world.listeners, 0);
  }
});
