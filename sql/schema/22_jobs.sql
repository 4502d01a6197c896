-- jobs: one row a job. What a checkpoint changes carries no index, so that its updates stay HOT.
create table if not exists milepost.jobs (
  job_id             uuid not null default gen_random_uuid(),
  tenant_id          uuid not null,
  key                text not null,
  kind               text not null default 'default',
  name               text not null,
  unit               text not null default 'items',
  owner_id           uuid,
  priority           int not null default 0,
  state              text not null default 'pending',
  state_reason       text,
  state_actor        text,
  attempt            int not null default 1,
  max_attempts       int not null default 3,
  version            bigint not null default 0,
  items_total        bigint,
  items_total_given  bigint,
  items_completed    bigint not null default 0,
  items_failed       bigint not null default 0,
  items_skipped      bigint not null default 0,
  items_canceled     bigint not null default 0,
  bytes_processed    bigint not null default 0,
  counts_reported    boolean not null default false,
  has_stages         boolean not null default false,
  stages_percent     double precision,
  stages_total       bigint,
  workers_expected   int,
  message            text,
  error              text,
  rate_limited_until timestamptz,
  stall_after_ms     bigint,
  processing_deadline_ms bigint,
  retry_backoff_ms   bigint not null default 10000,
  metadata           jsonb not null default '{}',
  created_at         timestamptz not null default now(),
  run_after          timestamptz,
  started_at         timestamptz,
  attempt_started_at timestamptz,
  state_changed_at   timestamptz not null default now(),
  last_checkpoint_at timestamptz,
  last_progress_at   timestamptz,
  finished_at        timestamptz,
  search_text        text not null generated always as (lower(key || ' ' || name || ' ' || kind || coalesce(' ' || error, ''))) stored,
  ended_metadata     jsonb generated always as (case when finished_at is not null then metadata end) stored,
  constraint jobs_pkey primary key (job_id),
  constraint jobs_tenant_exists foreign key (tenant_id) references milepost.tenants (tenant_id) on delete cascade,
  constraint job_key_is_unique_in_its_tenant unique (tenant_id, key),
  constraint job_key_is_short check (length(key) between 1 and 200),
  constraint job_state_is_known check (state in ('pending', 'running', 'pausing', 'paused', 'completing', 'completed',
                                                 'canceling', 'canceled', 'failed', 'retrying')),
  constraint a_terminal_job_has_finished check ((state in ('completed', 'canceled', 'failed')) = (finished_at is not null)),
  constraint attempt_is_positive check (attempt >= 1),
  constraint counts_are_not_negative check (items_completed >= 0 and items_failed >= 0 and items_skipped >= 0
                                            and items_canceled >= 0 and bytes_processed >= 0)
) with (fillfactor = 60);

create index if not exists jobs_newest_first on milepost.jobs (tenant_id, created_at desc, job_id desc);
create index if not exists jobs_active on milepost.jobs (tenant_id, state) where finished_at is null;
-- In the order in which they are claimed; the kind is looked at in the index.
create index if not exists jobs_to_claim on milepost.jobs (tenant_id, priority desc, created_at, kind)
  where state in ('pending', 'retrying');
-- History is asked by when jobs ended. A checkpoint leaves finished_at alone.
create index if not exists jobs_finished on milepost.jobs (tenant_id, finished_at desc, job_id desc) where finished_at is not null;
create index if not exists jobs_by_kind on milepost.jobs (tenant_id, kind, created_at desc, job_id desc);
create index if not exists jobs_by_owner on milepost.jobs (tenant_id, owner_id, created_at desc, job_id desc) where owner_id is not null;
create index if not exists jobs_that_failed on milepost.jobs (tenant_id, state, created_at desc, job_id desc)
  where state in ('failed', 'canceled');
-- What failed lately is asked for again and again: were it looked for among all that ended lately, it would follow how many succeed.
create index if not exists jobs_failed_last on milepost.jobs (tenant_id, finished_at desc, job_id desc) include (kind)
  where state = 'failed';
create index if not exists jobs_with_a_limit on milepost.jobs (tenant_id)
  where finished_at is null and (stall_after_ms is not null or processing_deadline_ms is not null);
create index if not exists jobs_by_metadata on milepost.jobs using gin (ended_metadata jsonb_path_ops) where ended_metadata is not null;
do $$
begin
  if to_regclass('milepost.jobs_by_text') is null then
    -- Where an older project has the extension in another schema, its operators are there.
    execute (
      select format('create index jobs_by_text on milepost.jobs using gin (search_text %I.gin_trgm_ops) '
                    'with (gin_pending_list_limit = 512)', n.nspname)
      from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
      where e.extname = 'pg_trgm');
  end if;
end $$;
-- Of common words the planner has to know that they are.
alter table milepost.jobs alter column search_text set statistics 1000;

comment on table milepost.jobs is 'One run of something with an end. Read job_progress for figures that depend on now.';
comment on column milepost.jobs.job_id is 'Its id; part of the Realtime topic job:<job_id>.';
comment on column milepost.jobs.tenant_id is 'The tenant it belongs to.';
comment on column milepost.jobs.key is 'The client''s name for it, unique in the tenant.';
comment on column milepost.jobs.kind is 'Groups runs of the same thing.';
comment on column milepost.jobs.name is 'What people call it; the key unless said otherwise.';
comment on column milepost.jobs.unit is 'What its items are: rows, files, ...';
comment on column milepost.jobs.owner_id is 'The user it belongs to: may control it, and hears of it on user:<owner_id>.';
comment on column milepost.jobs.priority is 'Greater is claimed first.';
comment on column milepost.jobs.state is 'Its state; milepost_private.transitions lists the permitted changes.';
comment on column milepost.jobs.state_reason is 'Why it is in this state, in words.';
comment on column milepost.jobs.state_actor is 'Who brought it there: worker:<name>, user:<id>, key:<id> or system.';
comment on column milepost.jobs.attempt is 'Which try this is, and the fencing token: what an older attempt says changes nothing.';
comment on column milepost.jobs.max_attempts is 'After so many attempts a failure is final.';
comment on column milepost.jobs.version is 'How many events the job has had.';
comment on column milepost.jobs.items_total is 'Its own total: the greatest that the lanes said last, else what was given at creation, else the sum of worker_items_total. Null is unknown.';
comment on column milepost.jobs.items_total_given is 'The total given at creation; stands until a lane says one.';
comment on column milepost.jobs.items_completed is 'Items done: the sum over its lanes, or its stages, or its items.';
comment on column milepost.jobs.items_failed is 'Items that failed.';
comment on column milepost.jobs.items_skipped is 'Items skipped: they shorten what remains and are no speed.';
comment on column milepost.jobs.items_canceled is 'Items canceled.';
comment on column milepost.jobs.bytes_processed is 'Bytes processed: the sum over its lanes.';
comment on column milepost.jobs.counts_reported is 'True once a lane reported a count of the job''s own; until then they are counted from stages or items.';
comment on column milepost.jobs.has_stages is 'True once a stage is known.';
comment on column milepost.jobs.stages_percent is 'The weighted mean of its stages'' percent; null if one that runs is unknown.';
comment on column milepost.jobs.stages_total is 'The sum of its stages'' totals; null if one is unknown.';
comment on column milepost.jobs.workers_expected is 'It is completed when at least so many lanes have said so.';
comment on column milepost.jobs.message is 'What a worker said last.';
comment on column milepost.jobs.error is 'Why it failed.';
comment on column milepost.jobs.rate_limited_until is 'A worker said that it may not go on before then.';
comment on column milepost.jobs.stall_after_ms is 'Silence after which it counts as stalled, in ms; overrides what was learnt.';
comment on column milepost.jobs.processing_deadline_ms is 'How long it may take, in ms of its active clock.';
comment on column milepost.jobs.retry_backoff_ms is 'Wait before attempt 2, in ms; doubled for each further one, at most 15 minutes.';
comment on column milepost.jobs.metadata is 'The client''s own JSON.';
comment on column milepost.jobs.created_at is 'When it was created.';
comment on column milepost.jobs.run_after is 'Not to be claimed before then.';
comment on column milepost.jobs.started_at is 'When it first ran.';
comment on column milepost.jobs.attempt_started_at is 'When this attempt began.';
comment on column milepost.jobs.state_changed_at is 'When its state last changed.';
comment on column milepost.jobs.last_checkpoint_at is 'Last contact.';
comment on column milepost.jobs.last_progress_at is 'Last rise of its counts.';
comment on column milepost.jobs.finished_at is 'When it ended.';
comment on column milepost.jobs.search_text is 'What a search by text looks at: key, name, kind and error, in lower case. A checkpoint does not change it, so it may carry an index.';
comment on column milepost.jobs.ended_metadata is 'Its metadata once it has ended. A checkpoint may change metadata, so only this copy carries an index.';

alter table milepost.jobs enable row level security;
drop policy if exists "members read their tenant's jobs" on milepost.jobs;
create policy "members read their tenant's jobs" on milepost.jobs for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost.jobs from public, anon, authenticated;
grant select on milepost.jobs to authenticated;
grant select, insert, update, delete on milepost.jobs to service_role;
