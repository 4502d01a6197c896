-- requests: how many requests each tenant and each key made lately, so that one cannot crowd out the others.
-- A row for each connection to the database that served one: two requests at once never wait for the same row. Unlogged:
-- what is lost in a crash is ten seconds of counting.
create unlogged table if not exists milepost_private.request_counts (
  subject uuid not null,
  slot    smallint not null,
  period  bigint not null,
  now     int not null,
  before  int not null,
  constraint request_counts_pkey primary key (subject, slot)
) with (fillfactor = 50);
comment on table milepost_private.request_counts is 'Requests of a tenant or key in this period of 10 s and in the one before.';
comment on column milepost_private.request_counts.subject is 'The tenant or the key.';
comment on column milepost_private.request_counts.slot is 'Which of 16 rows: by the process that served the request.';
comment on column milepost_private.request_counts.period is 'The period''s number: seconds since 1970 divided by 10.';
comment on column milepost_private.request_counts.now is 'Requests in that period.';
comment on column milepost_private.request_counts.before is 'Requests in the period before it.';
alter table milepost_private.request_counts enable row level security;
revoke all on milepost_private.request_counts from public, anon, authenticated;
grant select, insert, update, delete on milepost_private.request_counts to service_role;

-- count_request: counts one, or refuses it. What was refused is not counted, since its transaction leaves nothing.
-- The estimate of the last 10 s is a sliding window of two periods: the whole of this one, and of the one before the part
-- that the window still covers.
create or replace function milepost_private.count_request(tenant_id uuid, key_id uuid, key_per_s int, at timestamptz)
returns void
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_period   bigint := floor(extract(epoch from at) / 10);
  v_covered  double precision := 1 - (extract(epoch from at) / 10 - v_period);
  v_whose    text;
  v_per_s    int;
begin
  select l.whose, l.per_s into v_whose, v_per_s
  from (select 'tenant' as whose, t.tenant_id as subject, t.requests_per_s as per_s
        from milepost.tenants t where t.tenant_id = count_request.tenant_id
        union all select 'key', count_request.key_id, count_request.key_per_s) l
  join milepost_private.request_counts c on c.subject = l.subject
  where l.per_s is not null and c.period >= v_period - 1
  group by l.whose, l.per_s
  having sum(case when c.period = v_period then c.now + c.before * v_covered else c.now * v_covered end) >= l.per_s * 10.0
  limit 1;
  -- GUARD: too many
  if v_whose is not null then
    perform milepost_private.refuse(429, 'too_many_requests',
      format('Expected at most %s requests a second of this %s, over ten seconds; there were more.', v_per_s, v_whose),
      'Wait for the seconds in Retry-After, and send several checkpoints in one request. An admin may raise the limit.',
      headers => jsonb_build_object('Retry-After', ceil(10 * v_covered)::text));
  end if;
  insert into milepost_private.request_counts as c (subject, slot, period, now, before)
  select s.subject, pg_backend_pid() % 16, v_period, 1, 0
  from unnest(array[tenant_id, key_id]) as s (subject) where s.subject is not null
  on conflict on constraint request_counts_pkey do update set
    now = case when c.period = excluded.period then c.now + 1 else 1 end,
    before = case c.period when excluded.period then c.before when excluded.period - 1 then c.now else 0 end,
    period = excluded.period;
end;
$$;
comment on function milepost_private.count_request(uuid, uuid, int, timestamptz) is
'Counts a request of a tenant and a key, or refuses it with 429 and Retry-After where either has had its share.';
revoke execute on function milepost_private.count_request(uuid, uuid, int, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.count_request(uuid, uuid, int, timestamptz) to service_role;
