-- predictions: what was said of a job's remaining time when it first reached each tenth of its progress.
create table if not exists milepost_private.predictions (
  job_id      uuid not null,
  tenth       smallint not null,
  active_s    double precision not null,
  said_at     timestamptz not null,
  remaining_s double precision,
  low_s       double precision,
  high_s      double precision,
  constraint predictions_pkey primary key (job_id, tenth),
  constraint predictions_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade,
  constraint tenth_is_one_of_ten check (tenth between 0 and 9)
);
comment on table milepost_private.predictions is 'Per job and tenth of its progress: the active clock, and what was predicted to remain.';
alter table milepost_private.predictions enable row level security;
drop policy if exists "members read predictions of jobs they see" on milepost_private.predictions;
create policy "members read predictions of jobs they see" on milepost_private.predictions for select to authenticated
  using (exists (select from milepost.jobs j where j.job_id = predictions.job_id));
revoke all on milepost_private.predictions from public, anon, authenticated;
grant select on milepost_private.predictions to authenticated;
grant select, insert, update, delete on milepost_private.predictions to service_role;

-- eta_scores: how right these were, once the job was done.
create table if not exists milepost_private.eta_scores (
  job_id    uuid not null,
  tenth     smallint not null,
  tenant_id uuid not null,
  kind      text not null,
  log_error double precision not null,
  covered   boolean,
  width     double precision,
  scored_at timestamptz not null default now(),
  constraint eta_scores_pkey primary key (job_id, tenth),
  constraint eta_scores_job_exists foreign key (job_id) references milepost.jobs (job_id) on delete cascade
);
create index if not exists eta_scores_by_kind on milepost_private.eta_scores (tenant_id, kind);
comment on table milepost_private.eta_scores is 'ln(predicted / true) of each prediction of completed jobs, whether the range held the truth, and how wide it was.';
alter table milepost_private.eta_scores enable row level security;
drop policy if exists "members read how right predictions were" on milepost_private.eta_scores;
create policy "members read how right predictions were" on milepost_private.eta_scores for select to authenticated
  using (tenant_id = any (array(select milepost_private.my_tenants())));
revoke all on milepost_private.eta_scores from public, anon, authenticated;
grant select on milepost_private.eta_scores to authenticated;
grant select, insert, update, delete on milepost_private.eta_scores to service_role;
