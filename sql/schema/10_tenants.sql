-- tenants: who owns jobs, keys and members.
create table if not exists milepost.tenants (
  tenant_id            uuid not null default gen_random_uuid(),
  name                 text not null,
  progress_interval_ms int not null default 250,
  progress_step_percent double precision not null default 1,
  messages_per_s       double precision not null default 80,
  requests_per_s       int not null default 1000,
  waiting_jobs_most    int not null default 10000,
  keep_days            int not null default 30,
  created_at           timestamptz not null default now(),
  constraint tenants_pkey primary key (tenant_id),
  constraint tenant_name_is_short check (length(name) between 1 and 200),
  constraint progress_interval_is_not_negative check (progress_interval_ms between 0 and 3600000),
  constraint history_is_kept_a_day_to_ten_years check (keep_days between 1 and 3650),
  constraint message_budget_is_positive check (messages_per_s > 0),
  constraint requests_per_s_is_positive check (requests_per_s > 0),
  constraint waiting_jobs_most_is_not_negative check (waiting_jobs_most >= 0),
  constraint progress_step_is_a_percentage check (progress_step_percent > 0 and progress_step_percent <= 100)
);

comment on table milepost.tenants is 'Who owns jobs, keys and members: the unit of isolation.';
comment on column milepost.tenants.tenant_id is 'Its id; part of the Realtime topic tenant:<tenant_id>.';
comment on column milepost.tenants.name is 'What people call it.';
comment on column milepost.tenants.progress_interval_ms is 'A progress event is made when this much time has passed since the last one of the job, in ms.';
comment on column milepost.tenants.progress_step_percent is 'A progress event is made when percent_complete moved by this many points.';
comment on column milepost.tenants.messages_per_s is 'Realtime messages a second that progress may cost; the interval of progress events stretches to keep within it. Supabase''s free plan has 100 for the whole project.';
comment on column milepost.tenants.requests_per_s is 'Requests a second, over ten seconds, of all its keys and users to the functions; more are answered 429.';
comment on column milepost.tenants.waiting_jobs_most is 'Jobs that may wait to be claimed; a further one is answered 429.';
comment on column milepost.tenants.keep_days is 'How many days a job stays after it ended; set_retention changes it. Checkpoints and events are dropped by the day, once no tenant keeps them.';
comment on column milepost.tenants.created_at is 'When it was created.';

alter table milepost.tenants enable row level security;
revoke all on milepost.tenants from public, anon, authenticated;
grant select on milepost.tenants to authenticated;
grant select, insert, update, delete on milepost.tenants to service_role;
