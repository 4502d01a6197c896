// A world for the client: a database of jobs that move, and a network that loses, doubles, delays and reorders.
// The database keeps the promises of the real one: each event raises its job's version by one, and a row is never
// older than its version.

const STATES = ["running", "pausing", "paused", "completed", "failed", "retrying"];
const PROGRESS = ["state", "percent_complete", "items_completed", "items_total", "message", "liveness"];

const copy = (value) => structuredClone(value);

export class World {
  jobs = new Map();
  history = new Map(); // "job_id version" -> items_completed as events had told it by then
  mischief = { drop: 0.3, double: 0.3, late: 0.3, failingReads: 0.1 };
  isReachable = true; // whether the transport can be opened
  reads = 0;
  readMs = { before: () => this.random() * 150, after: () => this.random() * 150 }; // around the moment of looking
  joinMs = () => this.random() * 200;
  #sinks = new Set();

  constructor(clock, random) {
    this.clock = clock;
    this.random = random;
  }

  #chance(p) {
    return this.random() < p;
  }

  addJob(id = `job-${String(this.jobs.size).padStart(3, "0")}`) {
    const created = new Date(1_700_000_000_000 + this.jobs.size * 1000).toISOString();
    this.jobs.set(id, {
      job_id: id, tenant_id: "tenant", job: id, kind: `kind-${this.jobs.size % 3}`, name: id, version: 0, state: "pending", state_reason: null, liveness: "on_time",
      percent_complete: 0, items_total: 1000, items_completed: 0, message: null, created_at: created, finished_at: null,
      current_stage: null, error: null,
    });
    if (this.#chance(0.8)) this.changeState(id, "running");
    return id;
  }

  /** Counts rise; the event may be held back, and then the row is newer than its version. */
  progress(id, { heldBack = false } = {}) {
    const job = this.jobs.get(id);
    job.items_completed += 1 + Math.floor(this.random() * 9);
    job.percent_complete = job.items_completed / 10;
    job.message = `at ${job.items_completed}`;
    if (!heldBack) this.#emit(job, "job.progress", {});
  }

  changeState(id, state) {
    const job = this.jobs.get(id);
    const prior = job.state;
    job.state = state;
    job.state_reason = `was ${prior}`;
    job.finished_at = ["completed", "failed"].includes(state) ? new Date(this.clock.now()).toISOString() : null;
    this.#emit(job, "job.state_changed", { prior_state: prior, new_state: state, reason: job.state_reason, actor: "system" });
  }

  changeStage(id) {
    const job = this.jobs.get(id);
    job.current_stage = `stage ${Math.floor(this.random() * 100)}`;
    this.#emit(job, "stage.changed", { name: job.current_stage, state: "running" });
  }

  changeItem(id) {
    this.#emit(this.jobs.get(id), "item.changed", { key: "item", state: "completed" });
  }

  /** Something happens to some job. */
  step() {
    const ids = [...this.jobs.keys()];
    const id = ids[Math.floor(this.random() * ids.length)];
    const what = this.random();
    if (what < 0.03) this.addJob();
    else if (what < 0.15) this.changeState(id, STATES[Math.floor(this.random() * STATES.length)]);
    else if (what < 0.22) this.changeStage(id);
    else if (what < 0.3) this.changeItem(id);
    else this.progress(id, { heldBack: what < 0.4 });
  }

  #emit(job, type, more) {
    job.version += 1;
    // What is held back is in no event yet, and neither is it in one of a stage or an item.
    const told = type.startsWith("job.") ? job.items_completed : (this.history.get(`${job.job_id} ${job.version - 1}`) ?? 0);
    this.history.set(`${job.job_id} ${job.version}`, told);
    const figures = type.startsWith("job.") ? Object.fromEntries(PROGRESS.map((name) => [name, job[name]])) : {};
    const event = copy({ type, ts: new Date(this.clock.now()).toISOString(), job_id: job.job_id, version: job.version, data: { ...figures, ...more } });
    for (const sink of this.#sinks) this.#deliver(sink, event);
  }

  #deliver(sink, event) {
    const { drop, double, late } = this.mischief;
    if (this.#chance(drop)) return;
    for (let n = this.#chance(double) ? 2 : 1; n > 0; n--) {
      const ms = this.#chance(late) ? this.random() * 3000 : 1;
      this.clock.setTimeout(() => sink.message(copy(event)), ms);
    }
  }

  /** Breaks every connection at once. */
  cut(reason = "cut") {
    for (const sink of [...this.#sinks]) sink.down(reason);
  }

  get listeners() {
    return this.#sinks.size;
  }

  transport(name = "stream") {
    return {
      name,
      open: (topic, sink) => {
        let isOpen = true;
        this.clock.setTimeout(() => {
          if (!isOpen) return;
          if (!this.isReachable) return sink.down("not reachable");
          this.#sinks.add(sink);
          sink.up();
        }, this.joinMs());
        return () => {
          isOpen = false;
          this.#sinks.delete(sink);
        };
      },
    };
  }

  /** What of supabase-js the client uses. Reads take a while, look at one moment of it, and may fail. */
  get client() {
    const read = async (look) => {
      this.reads += 1;
      await this.clock.after(this.readMs.before());
      const found = copy(look());
      await this.clock.after(this.readMs.after());
      if (this.#chance(this.mischief.failingReads)) return { data: null, error: { code: "503", message: "away" }, status: 503 };
      return found?.error ? { data: null, ...found } : { data: found, error: null, status: 200 };
    };
    const database = {
      rpc: (name, args) => read(() => this[name](args)),
      from: () => ({ select: () => ({ in: (_, ids) => read(() => ids.map((id) => this.jobs.get(id)).filter(Boolean)) }) }),
    };
    return { schema: () => database };
  }

  get_job_progress({ job_id: id }) {
    return this.jobs.get(id) ?? { error: { code: "job_not_found", message: "no such job" }, status: 404 };
  }

  search_jobs({ state, kind, q, limit, after }) {
    const all = this.list({ state, kind, q });
    const begin = after === null ? 0 : all.findIndex(({ job_id: id }) => id === after) + 1;
    const jobs = all.slice(begin, begin + limit);
    return { jobs, next: begin + limit < all.length ? jobs.at(-1).job_id : null };
  }

  /** The truth, newest first. */
  list({ state = null, kind = null, q = null } = {}) {
    return [...this.jobs.values()]
      .filter((job) => (!state || state.includes(job.state)) && (!kind || kind.includes(job.kind)) && (!q || job.name.includes(q)))
      .sort((a, b) => Date.parse(b.created_at) - Date.parse(a.created_at));
  }
}
