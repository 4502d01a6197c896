-- is_quiet: whether a channel's quiet hours are on. They may pass midnight.
create or replace function milepost_private.is_quiet(quiet_from time, quiet_until time, time_zone text, at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
declare
  v_clock time := (at at time zone time_zone)::time;
begin
  return coalesce(case when quiet_from <= quiet_until then v_clock >= quiet_from and v_clock < quiet_until
                       else v_clock >= quiet_from or v_clock < quiet_until end, false);
end;
$$;
comment on function milepost_private.is_quiet(time, time, text, timestamptz) is 'Whether the clock of this zone is between the two times; false without them.';
revoke execute on function milepost_private.is_quiet(time, time, text, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.is_quiet(time, time, text, timestamptz) to service_role;

-- is_muted: whether somebody does not want to hear of this alert at the given time.
create or replace function milepost_private.is_muted(alert milepost_private.alerts, at timestamptz)
returns boolean
language plpgsql
stable
set search_path = ''
as $$
begin
  return exists (
    select from milepost_private.alert_mutes m
    where m.tenant_id = alert.tenant_id and m.until > at and (m.rule is null or m.rule = alert.rule)
      and (m.kind is null or m.kind = alert.kind) and (m.job_id is null or m.job_id = alert.job_id));
end;
$$;
comment on function milepost_private.is_muted(milepost_private.alerts, timestamptz) is 'Whether a mute covers the alert at the given time.';
revoke execute on function milepost_private.is_muted(milepost_private.alerts, timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.is_muted(milepost_private.alerts, timestamptz) to authenticated, service_role;

-- evaluate_alerts: opens what is newly wrong, resolves what is over, and puts what changed into the channels' outboxes.
-- A pure step of (what is stored, at); evaluating twice changes nothing.
create or replace function milepost_private.evaluate_alerts(at timestamptz)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_found    milepost_private.alert_condition[];
  v_opened   int;
  v_resolved int;
  v_queued   int;
begin
  -- GUARD: one evaluation at a time; the other does the same
  if not pg_try_advisory_xact_lock(hashtextextended('milepost_private.evaluate_alerts', 0)) then
    return jsonb_build_object('opened', 0, 'resolved', 0, 'queued', 0);
  end if;
  v_found := array(select c from milepost_private.alert_conditions(at) c);

  insert into milepost_private.alerts as a (tenant_id, rule, subject, job_id, job, kind, severity, message, value, threshold, began_at)
  select c.tenant_id, c.rule, c.subject, c.job_id, c.job, c.kind, c.severity, c.message, c.value, c.threshold, evaluate_alerts.at
  from unnest(v_found) c
  on conflict (tenant_id, rule, subject) where resolved_at is null
  do update set message = excluded.message, value = excluded.value, threshold = excluded.threshold where a.opened_at is null;

  update milepost_private.alerts a set opened_at = evaluate_alerts.at
  from unnest(v_found) c
  where a.resolved_at is null and a.opened_at is null and (a.tenant_id, a.rule, a.subject) = (c.tenant_id, c.rule, c.subject)
    and evaluate_alerts.at >= a.began_at + c.for_s * interval '1 second';
  get diagnostics v_opened = row_count;

  -- OVER: what had not been so for long enough leaves no trace.
  delete from milepost_private.alerts a
  where a.resolved_at is null and a.opened_at is null
    and not exists (select from unnest(v_found) c where (c.tenant_id, c.rule, c.subject) = (a.tenant_id, a.rule, a.subject));
  with over as (
    select a.alert_id, j.state,
           case when not r.is_on then 'turned_off'
                when a.rule = 'job_failed' and j.state = 'failed' or a.job_id is not null and j.job_id is null
                  or a.rule = 'missed_run' and not exists (
                    select from milepost.jobs n where n.tenant_id = a.tenant_id and n.kind = a.kind and n.created_at > a.began_at) then 'expired'
                else 'recovered' end as resolution
    from milepost_private.alerts a
    join milepost_private.alert_rules_in_force r on r.tenant_id = a.tenant_id and r.rule = a.rule
    left join milepost.jobs j on j.job_id = a.job_id
    where a.resolved_at is null
      and not exists (select from unnest(v_found) c where (c.tenant_id, c.rule, c.subject) = (a.tenant_id, a.rule, a.subject))
  )
  update milepost_private.alerts a set
    resolved_at = evaluate_alerts.at, resolution = o.resolution,
    message = case when o.resolution <> 'recovered' then a.message
                   when a.job_id is not null then format('%s is %s now. It was: %s', a.job, o.state, a.message)
                   else 'No longer so: ' || a.message end
  from over o where a.alert_id = o.alert_id;
  get diagnostics v_resolved = row_count;

  -- TOLD: what is open and was not told yet (it is new, or was muted), and recoveries of what was.
  update milepost_private.alerts a set announcement = nextval('milepost_private.announcements')
  where not milepost_private.is_muted(a, evaluate_alerts.at)
    and (a.resolved_at is null and a.opened_at is not null and a.announcement is null
         or a.resolved_at = evaluate_alerts.at and a.resolution = 'recovered' and a.announcement is not null);

  -- OUTBOX: one message has all that a channel has not been told, each as it is now.
  with news as (
    select c.channel_id, c.tenant_id, max(n.announcement) as told, max(t.name) as tenant, count(*) as alerts,
           count(*) filter (where n.resolved_at is null) as open,
           jsonb_agg(jsonb_build_object(
             'alert_id', n.alert_id, 'status', case when n.resolved_at is null then 'open' else 'resolved' end, 'rule', n.rule,
             'severity', n.severity, 'message', n.message, 'job_id', n.job_id, 'job', n.job, 'kind', n.kind, 'value', n.value,
             'threshold', n.threshold, 'opened_at', milepost_private.iso(n.opened_at), 'resolved_at', milepost_private.iso(n.resolved_at)
           ) order by n.severity, n.announcement) filter (where n.place <= 50) as told_of
    from milepost_private.alert_channels c
    join milepost.tenants t on t.tenant_id = c.tenant_id
    cross join lateral (
      select a.*, row_number() over (order by a.severity, a.announcement) as place
      from milepost_private.alerts a where a.tenant_id = c.tenant_id and a.announcement > c.told
    ) n
    where not milepost_private.is_quiet(c.quiet_from, c.quiet_until, c.time_zone, evaluate_alerts.at)
      and not exists (select from milepost_private.alert_deliveries d
                      where d.channel_id = c.channel_id and d.delivered_at is null and d.gave_up_at is null)
    group by c.channel_id, c.tenant_id
  ), queued as (
    insert into milepost_private.alert_deliveries (tenant_id, channel_id, body, created_at, due_at)
    select n.tenant_id, n.channel_id, jsonb_build_object(
             'type', 'milepost.alerts', 'timestamp', milepost_private.iso(evaluate_alerts.at),
             'data', jsonb_build_object('tenant_id', n.tenant_id, 'tenant', n.tenant, 'open', n.open, 'resolved', n.alerts - n.open,
                                        'alerts', n.told_of, 'left_out', greatest(n.alerts - 50, 0))),
           evaluate_alerts.at, evaluate_alerts.at
    from news n
  )
  update milepost_private.alert_channels c set told = n.told from news n where c.channel_id = n.channel_id;
  get diagnostics v_queued = row_count;

  delete from milepost_private.alerts a where a.resolved_at < evaluate_alerts.at - interval '30 days';
  delete from milepost_private.alert_deliveries d where d.created_at < evaluate_alerts.at - interval '7 days'
    and (d.delivered_at is not null or d.gave_up_at is not null);
  delete from milepost_private.alert_mutes m where m.until < evaluate_alerts.at;
  return jsonb_build_object('opened', v_opened, 'resolved', v_resolved, 'queued', v_queued);
end;
$$;
comment on function milepost_private.evaluate_alerts(timestamptz) is
'Opens and resolves alerts as of the given time and queues what channels are to be told. Returns counts; safe to repeat.';
revoke execute on function milepost_private.evaluate_alerts(timestamptz) from public, anon, authenticated;
grant execute on function milepost_private.evaluate_alerts(timestamptz) to service_role;
