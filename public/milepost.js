// Follows jobs live without ever ending up with a wrong picture. Works in any page or Node program: bring a
// supabase-js client that is signed in.
//
//     import { watchJob, watchTenant } from "./milepost.js";
//     const watch = watchJob(client, jobId, { onChange: (job) => draw(job) });
//     ...
//     watch.close();
//
// The rule: what the database says is the truth, a message is a hint. A watch joins the private channel, waits
// until messages really flow, and only then reads the snapshot. Each event of a job raises its `version` by one:
// an older message is ignored, the next one is applied, a jump means that something was missed and the job is
// read again. What is lost with nothing after it is found by a slow regular read. When Realtime cannot be had, the
// server-sent events of the functions carry the messages; when they cannot either, the watch polls. It keeps trying
// to climb back.

const STREAMING = "Replication connection established";
const TERMINAL = new Set(["completed", "canceled", "failed"]);
const BACKOFF_MS = { first: 500, longest: 30_000 };
const STEADY_MS = 10_000; // a transport that held for this long had recovered

// What lists show of a job; the rest (stages, workers, cursor, metadata) is read for one job only.
const SUMMARY = `job_id, job, kind, name, unit, tenant_id, owner_id, state, state_reason, liveness, health, attempt,
  max_attempts, priority, version, percent_complete, items_total, items_completed, items_failed, items_skipped,
  items_canceled, items_pending, bytes_processed, rate_per_s, bytes_per_s, average_duration_ms_per_item, eta_ms,
  eta_low_ms, eta_high_ms, estimated_completion_at, eta_reason, time_to_start_ms, time_processing_ms, rate_limited,
  rate_limited_until, processing_deadline_ms, current_stage, message, error, created_at, started_at,
  last_checkpoint_at, last_progress_at, finished_at, run_after`.replace(/\s+/g, "");

const SYSTEM_CLOCK = {
  now: () => Date.now(),
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

/**
 * Follows one job.
 *
 * @param {import("@supabase/supabase-js").SupabaseClient} client signed in as somebody who may see the job
 * @param {string} jobId its uuid
 * @param {object} [options] beside those below, the ones of `follow`
 * @param {(job: object) => void} [options.onChange] the job as GET /v1/jobs/{job} shows it, whenever it changed
 * @param {(event: object) => void} [options.onEvent] each event as it arrives: once, and never an older one late.
 *   Events that were missed are not delivered; a jump of `event.version` shows that there were some
 * @returns {{job: object | null, refresh: () => void, close: () => void}}
 */
export function watchJob(client, jobId, options = {}) {
  const { onChange = ignore, onEvent = ignore, clock = SYSTEM_CLOCK, partsMs = 1000 } = options;
  const picture = new Picture();
  const shown = () => picture.rows.get(jobId)?.job ?? null;

  const line = follow(client, `job:${jobId}`, {
    ...options,
    async read() {
      const readAt = picture.tick();
      const job = answer(await client.schema("milepost").rpc("get_job_progress", { job_id: jobId }));
      if (picture.read(job, readAt)) onChange(shown());
    },
    hear(event) {
      if (event.job_id !== jobId) return;
      const heard = picture.hear(event);
      if (heard.isNew) onEvent(event);
      if (heard.changed) onChange(shown());
      // Stages and workers travel in no message, so they follow a moment later.
      if (heard.isNew) line.readWithin(heard.isWhole ? partsMs : undefined);
    },
    clock,
  });
  return {
    get job() {
      return shown();
    },
    refresh: line.refresh,
    close: line.close,
  };
}

/**
 * Follows a tenant's jobs, newest first: as many pages as were asked for, under a filter.
 *
 * @param {import("@supabase/supabase-js").SupabaseClient} client signed in as a member of the tenant
 * @param {string} tenantId
 * @param {object} [options] beside those below, the ones of `follow`
 * @param {{state?: string[], kind?: string[], liveness?: string[], owner?: string, q?: string, sort?: "finishing" | "attention"}}
 *   [options.filter] with a sort, pages of active jobs come in its order; `jobs` are newest first in any case
 * @param {number} [options.pageSize] jobs of a page, at most 200
 * @param {(change: {changed: string[], removed: string[]}) => void} [options.onChange] the ids of jobs that are new
 *   or different, and of those that are gone or no longer match
 * @param {(event: object) => void} [options.onEvent] each event of a listed or unlisted job as it arrives
 * @returns {{jobs: object[], job: (id: string) => object | null, loaded: boolean, hasMore: boolean,
 *   more: () => Promise<void>, setFilter: (filter: object) => void, refresh: () => void, close: () => void}}
 */
export function watchTenant(client, tenantId, options = {}) {
  const { onChange = ignore, onEvent = ignore, pageSize = 50, clock = SYSTEM_CLOCK } = options;
  const database = client.schema("milepost");
  let filter = options.filter ?? {};
  let picture = new Picture();
  let next = null; // the cursor after the last page that was loaded
  let loaded = false;
  const elsewhere = new Set(); // jobs that are on no loaded page

  async function readPage(after) {
    const asked = filter;
    const { jobs, next: following } = answer(
      await database.rpc("search_jobs", {
        state: some(asked.state), kind: some(asked.kind), liveness: some(asked.liveness), q: asked.q || null,
        owner: asked.owner || null, tenant: tenantId, sort: asked.sort || "newest", limit: pageSize, after,
      }),
    );
    // The answer to a question that is no longer asked.
    if (asked !== filter) return null;
    return { jobs: jobs.filter((job) => job.tenant_id === tenantId), next: following };
  }

  async function readJobs(ids) {
    const found = await Promise.all(
      chunks(ids, 100).map(async (part) =>
        answer(await database.from("job_progress").select(SUMMARY).in("job_id", part))),
    );
    return found.flat();
  }

  // A job that no longer matches is kept, out of sight: what is heard of it may bring it back.
  const isListed = (id) => picture.rows.has(id) && matches(picture.rows.get(id).job, filter);
  const list = () => picture.newestFirst().filter((job) => matches(job, filter));

  /** Puts what was read into the picture. `covers` says of which rows their absence means that they are gone. */
  function put(jobs, readAt, covers) {
    const change = { changed: [], removed: [] };
    const found = new Set();
    for (const job of jobs) {
      found.add(job.job_id);
      elsewhere.delete(job.job_id);
      if (picture.read(job, readAt)) change[isListed(job.job_id) ? "changed" : "removed"].push(job.job_id);
    }
    for (const [id, row] of picture.rows) {
      // Unless something newer was read or heard of it meanwhile.
      if (!found.has(id) && row.readAt < readAt && row.heardAt < readAt && covers(row.job)) {
        picture.remove(id);
        change.removed.push(id);
      }
    }
    return change;
  }

  async function readFirstPage() {
    const readAt = picture.tick();
    const asked = filter;
    const page = await readPage(null);
    if (page === null) return;
    const last = page.jobs.at(-1);
    const isFirst = !loaded;
    const reachesAll = page.next === null;
    // By any other sort than by age, a job may have moved to a later page.
    const change = put(page.jobs, readAt, (job) => reachesAll || (!asked.sort && time(job) > time(last)));
    if (isFirst || reachesAll) next = page.next;
    loaded = true;
    if (isFirst || change.changed.length || change.removed.length) onChange(change);
  }

  async function readListed(ids) {
    if (ids.length === 0) return;
    const asked = new Set(ids);
    const readAt = picture.tick();
    const before = picture;
    const jobs = await readJobs(ids);
    if (before !== picture) return;
    const change = put(jobs, readAt, (job) => asked.has(job.job_id));
    if (change.changed.length || change.removed.length) onChange(change);
  }

  let pageIsDue = true;
  const line = follow(client, `tenant:${tenantId}`, {
    ...options,
    async read(isRegular) {
      if (isRegular || !loaded) pageIsDue = true;
      if (pageIsDue) {
        pageIsDue = false;
        try {
          await readFirstPage();
        } catch (error) {
          pageIsDue = true;
          throw error;
        }
      }
      // A regular read looks after every job that may still move, wherever it is in the list.
      const firstPage = new Set(isRegular && !filter.sort ? list().slice(0, pageSize).map((job) => job.job_id) : []);
      const ids = [];
      for (const [id, { job, hasHole }] of picture.rows) {
        if (hasHole || (isRegular && !TERMINAL.has(job.state) && !firstPage.has(id))) ids.push(id);
      }
      await readListed(ids);
      // An event may have overtaken what was read.
      if (ids.some((id) => picture.rows.get(id)?.hasHole)) line.readWithin();
    },
    hear(event) {
      const id = event.job_id;
      if (!picture.rows.has(id)) {
        onEvent(event);
        // It may be new, or match the filter from now on; all else that it does is of no concern here.
        if (!elsewhere.has(id) || event.type === "job.state_changed" || event.type === "job.started") {
          elsewhere.add(id);
          pageIsDue = true;
          line.readWithin();
        }
        return;
      }
      const wasListed = isListed(id);
      const heard = picture.hear(event);
      if (!heard.isNew) return;
      onEvent(event);
      if (!heard.isWhole) line.readWithin();
      if (heard.changed && isListed(id)) onChange({ changed: [id], removed: [] });
      else if (wasListed && !isListed(id)) onChange({ changed: [], removed: [id] });
    },
    clock,
  });

  return {
    get jobs() {
      return list();
    },
    job: (id) => (isListed(id) ? picture.rows.get(id).job : null),
    get loaded() {
      return loaded;
    },
    get hasMore() {
      return next !== null;
    },
    async more() {
      if (next === null) return;
      const after = next;
      const readAt = picture.tick();
      const page = await readPage(after);
      if (page === null || next !== after) return;
      next = page.next;
      const change = put(page.jobs, readAt, () => false);
      onChange(change);
    },
    setFilter(wanted) {
      filter = wanted;
      picture = new Picture();
      next = null;
      loaded = false;
      elsewhere.clear();
      line.refresh();
    },
    refresh: line.refresh,
    close: line.close,
  };
}

/** Rows as snapshots and messages left them, in whatever order these came. */
class Picture {
  rows = new Map(); // job_id -> {job, version, heard, hasHole, readAt, heardAt}
  #ticks = 0;
  #order = null; // the ids, newest first, until a job comes or goes

  /** The number of a read that begins now. */
  tick() {
    return ++this.#ticks;
  }

  newestFirst() {
    // Instants are compared, not texts: reads spell a time in two ways (Z and +00:00).
    this.#order ??= [...this.rows.values()]
      .map(({ job }) => ({ id: job.job_id, at: time(job) }))
      .sort((a, b) => b.at - a.at || (a.id < b.id ? 1 : -1))
      .map(({ id }) => id);
    return this.#order.map((id) => this.rows.get(id).job);
  }

  remove(id) {
    this.#order = null;
    this.rows.delete(id);
  }

  /**
   * Takes a row that was read; returns whether the picture changed. A row is never older than its version. A hole
   * stays until the row is as new as what was heard.
   */
  read(job, readAt) {
    const row = this.rows.get(job.job_id);
    if (row && job.version < row.version) return false;
    const { heard = 0, heardAt = 0 } = row ?? {};
    if (!row) this.#order = null;
    this.rows.set(job.job_id, { job, version: job.version, heard, hasHole: job.version < heard, readAt, heardAt });
    return !row || !same(row.job, job);
  }

  /**
   * Takes an event of a job. `isNew`: it had not been heard or read before. `changed`: the row is different now.
   * `isWhole`: nothing is missing from the row, neither an event before this one nor a field that it does not carry.
   */
  hear(event) {
    const row = this.rows.get(event.job_id);
    if (!row) return { isNew: true, changed: false, isWhole: false };
    // One that was overtaken is not needed: the hole that it left is being read.
    if (event.version <= Math.max(row.version, row.heard)) return { isNew: false, changed: false, isWhole: true };
    row.heard = event.version;
    row.heardAt = this.#ticks;
    const isNext = event.version === row.version + 1;
    const carriesFigures = event.type.startsWith("job.") && "state" in event.data;
    if (carriesFigures) {
      row.job = { ...row.job, ...figures(event), version: event.version };
      row.version = event.version;
    } else if (isNext) {
      row.job = { ...row.job, version: event.version };
      row.version = event.version;
    }
    const saysAll = event.type === "job.progress" || event.type === "item.changed";
    const isWhole = isNext && saysAll;
    row.hasHole ||= !isWhole;
    return { isNew: true, changed: carriesFigures, isWhole };
  }
}

/** The fields of a job that an event changes. */
function figures({ type, ts, data }) {
  const { prior_state: _, new_state: state, reason, actor: __, ...fields } = data;
  if (type === "job.started") fields.started_at = ts;
  if (type === "job.state_changed") {
    fields.state = state;
    fields.state_reason = reason;
    fields.finished_at = TERMINAL.has(state) ? ts : null;
  }
  return fields;
}

/**
 * Keeps a topic flowing: the best transport there is, reads where they are due, and tells how it is doing.
 *
 * @param {object} options
 * @param {(status: Status) => void} [options.onStatus] on every change
 * @param {(error: object) => void} [options.onError] a read that failed; it is tried again, save for a job that is
 *   not there (code `job_not_found`), which ends the watch
 * @param {string} [options.apiUrl] where the functions are, for `events()`
 * @param {Transport[]} [options.transports] best first; the last one must always work. `realtime()`, `events()` where
 *   `apiUrl` is known, and `polling()` by default; any `{name, open(topic, sink, clock) -> close}` fits
 * @param {number} [options.refreshMs] between regular reads while messages flow (15 s)
 * @param {number} [options.gatherMs] how long missed messages are gathered before their jobs are read (250 ms)
 * @param {number} [options.patienceMs] how long a transport may take before the next one helps out (4 s)
 * @param {{now, setTimeout, clearTimeout}} [options.clock] and {() => number} [options.random]: for tests
 *
 * @typedef {object} Status
 * @property {"connecting" | "live" | "polling" | "unreachable"} state unreachable: reads fail and nothing flows
 * @property {string | null} via the transport's name
 * @property {string | null} reason why it is not the best transport, as the transport put it
 * @property {number | null} readAt when the last read succeeded (clock.now())
 */
function follow(client, topic, options) {
  const {
    read, hear, onStatus = ignore, onError = ignore, apiUrl,
    transports = [realtime(client), ...(apiUrl ? [events(client, apiUrl)] : []), polling()],
    refreshMs = 15_000, gatherMs = 250, patienceMs = 4000, clock = SYSTEM_CLOCK, random = Math.random,
  } = options;
  const backoff = (tries) => {
    const full = Math.min(BACKOFF_MS.longest, BACKOFF_MS.first * 2 ** tries);
    return full / 2 + (full / 2) * random();
  };
  let isClosed = false;

  // READS: one at a time; what becomes due during one is read after it.
  let timer = null;
  let dueAt = Infinity;
  let regularAt = Infinity;
  let isReading = false;
  let failures = 0;
  let readAt = null;

  function readWithin(ms = gatherMs) {
    dueAt = Math.min(dueAt, clock.now() + ms);
    schedule();
  }

  function readAllNow() {
    regularAt = clock.now();
    schedule();
  }

  function schedule() {
    if (isClosed || isReading) return;
    clock.clearTimeout(timer);
    timer = clock.setTimeout(readNow, Math.max(0, Math.min(dueAt, regularAt) - clock.now()));
  }

  async function readNow() {
    const isRegular = clock.now() >= regularAt;
    dueAt = Infinity;
    if (isRegular) regularAt = Infinity;
    isReading = true;
    try {
      await read(isRegular);
      failures = 0;
      readAt = clock.now();
      if (isRegular) regularAt = Math.min(regularAt, readAt + refreshMs * (0.9 + 0.2 * random()));
    } catch (error) {
      dueAt = clock.now() + backoff(failures++);
      if (isRegular) regularAt = dueAt;
      if (!isClosed) onError(error);
      if (error.code === "job_not_found") close();
    }
    isReading = false;
    tell();
    schedule();
  }

  // TRANSPORTS: the best one that works carries the messages, and those above it keep trying.
  const rungs = transports.map((transport) => ({
    transport, close: null, retry: null, patience: null, isUp: false, upAt: 0, tries: 0, reason: null,
  }));

  function open(index) {
    const rung = rungs[index];
    if (isClosed || !rung || rung.close || rung.retry !== null) return;
    let isCurrent = true;
    const current = (act) => (...given) => {
      if (isCurrent && !isClosed) act(...given);
    };
    rung.patience = clock.setTimeout(() => open(index + 1), patienceMs);
    rung.close = () => {
      isCurrent = false;
      rung.isUp = false;
      rung.close = null;
      clock.clearTimeout(rung.patience);
      shut();
    };
    let shut = ignore;
    shut = rung.transport.open(topic, {
      up: current(() => {
        clock.clearTimeout(rung.patience);
        rung.isUp = true;
        rung.upAt = clock.now();
        rung.reason = null;
        rungs.slice(index + 1).forEach(abandon);
        readAllNow();
        tell();
      }),
      message: current(hear),
      stale: current(readAllNow),
      down: current((reason) => {
        if (rung.isUp && clock.now() - rung.upAt >= STEADY_MS) rung.tries = 0;
        rung.close();
        rung.reason = reason;
        rung.retry = clock.setTimeout(() => {
          rung.retry = null;
          open(index);
        }, backoff(rung.tries++));
        open(index + 1);
        tell();
      }),
    }, clock);
    if (!isCurrent) shut();
  }

  function abandon(rung) {
    rung.close?.();
    clock.clearTimeout(rung.retry);
    rung.retry = null;
    rung.reason = null;
  }

  let told = "";
  function tell() {
    const rung = rungs.find(({ isUp }) => isUp);
    const isStream = rung !== undefined && rung !== rungs.at(-1);
    let state = "connecting";
    if (failures > 0 && !isStream) state = "unreachable";
    else if (rung) state = isStream ? "live" : "polling";
    const status = { state, via: rung?.transport.name ?? null, reason: rungs[0].reason };
    const key = JSON.stringify(status);
    if (isClosed || key === told) return;
    told = key;
    onStatus({ ...status, readAt });
  }

  function refresh() {
    failures = 0;
    readAllNow();
    // Whatever waits for its next try may as well try now.
    rungs.forEach((rung, index) => {
      if (rung.retry === null) return;
      clock.clearTimeout(rung.retry);
      rung.retry = null;
      rung.tries = 0;
      open(index);
    });
  }

  function close() {
    if (isClosed) return;
    isClosed = true;
    clock.clearTimeout(timer);
    rungs.forEach(abandon);
  }

  tell();
  // A first look at once; the read that counts comes when messages flow.
  readAllNow();
  open(0);
  return { readWithin, refresh, close };
}

/**
 * Supabase Realtime, a private channel. It is up when the server says that broadcasts from the database flow; a
 * server that never says so is trusted after `quietMs`.
 *
 * @returns {Transport}
 */
export function realtime(client, { quietMs = 2500 } = {}) {
  return {
    name: "realtime",
    open(topic, sink, clock) {
      let isOpen = true;
      let channel = null;
      let timer = null;

      async function join() {
        // The token may have been renewed since the last time.
        await client.realtime.setAuth();
        if (!isOpen) return;
        if (client.getChannels().some((other) => other.topic === `realtime:${topic}`)) {
          sink.down(`expected one watch of ${topic} for each client, found another one`);
          return;
        }
        channel = client.channel(topic, {
          config: {
            private: true,
            broadcast: { ack: false, self: false, replication_ready: true },
            presence: { enabled: false },
          },
        });
        channel
          .on("broadcast", { event: "*" }, ({ payload }) => sink.message(payload))
          .on("system", {}, ({ status, message }) => {
            if (status === "error") sink.down(message);
            else if (message === STREAMING) sink.up();
          })
          .subscribe((status, error) => {
            if (!isOpen) return;
            if (status !== "SUBSCRIBED") sink.down(error?.message ?? status.toLowerCase().replace("_", " "));
            else timer = clock.setTimeout(sink.up, quietMs);
          });
      }

      join().catch((error) => sink.down(error.message));
      return () => {
        isOpen = false;
        clock.clearTimeout(timer);
        if (channel) client.removeChannel(channel);
      };
    },
  };
}

/**
 * GET /v1/events: server-sent events, for networks that let no websocket through.
 *
 * @returns {Transport}
 */
export function events(client, apiUrl) {
  return {
    name: "events",
    open(topic, sink) {
      const ending = new AbortController();
      const [kind, id] = topic.split(":");

      async function listen() {
        await client.realtime.setAuth();
        const headers = { authorization: `Bearer ${client.realtime.accessTokenValue}` };
        if (kind === "tenant") headers["x-milepost-tenant"] = id;
        const query = kind === "job" ? `?job=${id}` : "";
        const response = await fetch(`${apiUrl}/v1/events${query}`, { headers, cache: "no-store", signal: ending.signal });
        if (!response.ok) throw new Error((await response.json()).message);
        let rest = "";
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); // not every browser iterates streams
        for (let part = await reader.read(); !part.done; part = await reader.read()) {
          const blocks = (rest + part.value).split("\n\n");
          rest = blocks.pop();
          for (const block of blocks) hear(block);
        }
        throw new Error("the stream ended");
      }

      function hear(block) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (!data) return;
        const event = JSON.parse(data.slice("data: ".length));
        // It begins with a snapshot; the one that counts is read when it is up, as with every transport.
        if (event.type === "snapshot") sink.up();
        else sink.message(event);
      }

      listen().catch((error) => {
        if (!ending.signal.aborted) sink.down(error.message);
      });
      return () => ending.abort();
    },
  };
}

/**
 * Asks again and again: what always works.
 *
 * @returns {Transport}
 *
 * @typedef {object} Transport
 * @property {string} name
 * @property {(topic: string, sink: Sink, clock: object) => () => void} open begins, and returns how to end it
 *
 * @typedef {object} Sink
 * @property {() => void} up messages flow from now on, and a snapshot taken from now on misses none
 * @property {(event: object) => void} message an event
 * @property {() => void} stale something may have changed: time to read
 * @property {(reason: string) => void} down it ended; it is opened again later
 */
export function polling({ everyMs = 2000 } = {}) {
  return {
    name: "polling",
    open(topic, sink, clock) {
      let timer = null;
      const ask = () => {
        timer = clock.setTimeout(ask, everyMs);
        sink.stale();
      };
      timer = clock.setTimeout(ask, everyMs);
      sink.up();
      return () => clock.clearTimeout(timer);
    },
  };
}

/** What PostgREST answered, or its refusal as an Error with `code`, `hint` and `status`. */
function answer({ data, error, status }) {
  if (error) throw Object.assign(new Error(error.message), { code: error.code, hint: error.hint, status });
  return data;
}

function matches(job, { state, kind, liveness, owner, sort }) {
  return (
    (!sort || !TERMINAL.has(job.state)) &&
    (!owner || job.owner_id === owner) &&
    (!state?.length || state.includes(job.state)) &&
    (!kind?.length || kind.includes(job.kind)) &&
    (!liveness?.length || liveness.includes(job.liveness))
  );
}

function time(job) {
  return Date.parse(job.created_at);
}

function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

function chunks(list, size) {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, n) => list.slice(n * size, (n + 1) * size));
}

const some = (list) => (list?.length ? list : null);

function ignore() {}
