// Types of milepost.js, and of what it shows. A test holds Job against the API's own description.
import type { SupabaseClient } from "@supabase/supabase-js";

// Whatever schema the client was made for.
type Client = SupabaseClient<any, any, any, any, any>;

export type State =
  | "pending" | "running" | "pausing" | "paused" | "completing" | "completed" | "canceling" | "canceled" | "failed" | "retrying";
export type Liveness = "on_time" | "late" | "stalled" | "lost";
export type Health = "excellent" | "good" | "fair" | "poor";
export type EtaReason = "no_total" | "no_progress" | "paused" | "rate_limited" | "finished" | "not_started" | "stalled";
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json };

/** A job as lists show it. Times are RFC 3339; durations end in `_ms`; null is unknown, never 0. */
export interface JobSummary extends Counts {
  job_id: string;
  /** Your name for it. */
  job: string;
  kind: string | null;
  name: string | null;
  unit: string | null;
  tenant_id: string | null;
  owner_id: string | null;
  state: State;
  state_reason: string | null;
  liveness: Liveness | null;
  health: Health | null;
  attempt: number;
  max_attempts: number | null;
  priority: number;
  /** Raised by one with each event. */
  version: number;
  percent_complete: number | null;
  items_pending: number | null;
  rate_per_s: number | null;
  bytes_per_s: number | null;
  average_duration_ms_per_item: number | null;
  eta_ms: number | null;
  eta_low_ms: number | null;
  eta_high_ms: number | null;
  estimated_completion_at: string | null;
  /** Why there is no `eta_ms`. */
  eta_reason: EtaReason | null;
  time_to_start_ms: number | null;
  time_processing_ms: number | null;
  rate_limited: boolean;
  rate_limited_until: string | null;
  processing_deadline_ms: number | null;
  current_stage: string | null;
  message: string | null;
  error: string | null;
  created_at: string | null;
  started_at: string | null;
  last_checkpoint_at: string | null;
  last_progress_at: string | null;
  finished_at: string | null;
  run_after: string | null;
}

export interface Counts {
  items_total: number | null;
  items_completed: number;
  items_failed: number;
  items_skipped: number;
  items_canceled: number;
  bytes_processed: number;
}

export interface StageProgress extends Counts {
  name: string;
  position: number | null;
  state: "pending" | "running" | "completed" | "failed" | "skipped" | "canceled" | null;
  weight: number | null;
  percent_complete: number | null;
  started_at: string | null;
  finished_at: string | null;
}

export interface WorkerProgress extends Counts {
  worker: string;
  attempt: number | null;
  seq: number | null;
  state: string | null;
  rate_per_s: number | null;
  last_checkpoint_at: string | null;
  cursor: Json;
}

/** A job as GET /v1/jobs/{job} shows it. */
export interface Job extends JobSummary {
  stages: StageProgress[];
  workers: WorkerProgress[];
  cursor: Json;
  /** Each worker's own cursor. */
  cursors: { [worker: string]: Json } | null;
  metadata: { [name: string]: Json } | null;
}

export interface Event {
  type: string;
  ts: string;
  job_id: string;
  version: number;
  correlation_id: string | null;
  data: { [field: string]: Json };
}

export interface Status {
  /** unreachable: reads fail and nothing flows */
  state: "connecting" | "live" | "polling" | "unreachable";
  /** The transport's name. */
  via: string | null;
  /** Why it is not the best transport. */
  reason: string | null;
  /** When the last read succeeded, as `clock.now()` says it. */
  readAt: number | null;
}

export interface Clock {
  now(): number;
  setTimeout(run: () => void, ms: number): any;
  clearTimeout(timer: any): void;
}

export interface Sink {
  up(): void;
  message(event: Event): void;
  stale(): void;
  down(reason: string): void;
}

export interface Transport {
  name: string;
  /** Begins, and returns how to end it. */
  open(topic: string, sink: Sink, clock: Clock): () => void;
}

export interface WatchOptions {
  onEvent?: (event: Event) => void;
  onStatus?: (status: Status) => void;
  /** A read that failed; it is tried again, save for `job_not_found`, which ends the watch. */
  onError?: (error: Error & { code?: string; hint?: string | null; status?: number }) => void;
  /** Where the functions are, for server-sent events. */
  apiUrl?: string;
  /** Best first; the last one must always work. */
  transports?: Transport[];
  refreshMs?: number;
  gatherMs?: number;
  patienceMs?: number;
  clock?: Clock;
  random?: () => number;
}

export interface JobWatch {
  readonly job: Job | null;
  refresh(): void;
  close(): void;
}

/** Follows one job. The client is signed in as somebody who may see it. */
export function watchJob(
  client: Client,
  jobId: string,
  options?: WatchOptions & { onChange?: (job: Job) => void; partsMs?: number },
): JobWatch;

export interface Filter {
  state?: State[];
  kind?: string[];
  liveness?: Liveness[];
  owner?: string;
  q?: string;
  sort?: "newest" | "finishing" | "attention";
}

export interface TenantWatch {
  /** Newest first. */
  readonly jobs: JobSummary[];
  job(id: string): JobSummary | null;
  readonly loaded: boolean;
  readonly hasMore: boolean;
  more(): Promise<void>;
  setFilter(filter: Filter): void;
  refresh(): void;
  close(): void;
}

/** Follows the jobs of a tenant, page by page. */
export function watchTenant(
  client: Client,
  tenantId: string,
  options?: WatchOptions & {
    filter?: Filter;
    pageSize?: number;
    onChange?: (change: { changed: string[]; removed: string[] }) => void;
  },
): TenantWatch;

export function realtime(client: Client, options?: { quietMs?: number }): Transport;
export function events(client: Client, apiUrl: string): Transport;
export function polling(options?: { everyMs?: number }): Transport;
