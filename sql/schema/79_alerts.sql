-- What people do with alerts: read them, change rules, add and remove channels, mute.

create or replace function milepost_private.check_alert_rule(rule text)
returns void
language plpgsql
stable
set search_path = ''
as $$
begin
  if not exists (select from milepost_private.alert_defaults() d where d.rule = check_alert_rule.rule) then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected the name of an alert rule; %s is none.', rule),
      'They are: ' || (select string_agg(d.rule, ', ') from milepost_private.alert_defaults() d) || '.');
  end if;
end;
$$;
comment on function milepost_private.check_alert_rule(text) is 'Refuses what is no rule''s name.';
revoke execute on function milepost_private.check_alert_rule(text) from public, anon, authenticated;
grant execute on function milepost_private.check_alert_rule(text) to authenticated, service_role;

create or replace function milepost.list_alerts(
  status text default null, tenant_id uuid default null, "limit" int default 50, after text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_size  int := milepost_private.page_size("limit");
  v_after jsonb := milepost_private.page_after(after, '{timestamptz,uuid}');
  v_page  jsonb;
begin
  if status not in ('open', 'resolved') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected status open or resolved; found %s.', status));
  end if;
  select coalesce(jsonb_agg(to_jsonb(p) order by p.opened_at desc, p.alert_id desc), '[]') into v_page
  from (
    select a.alert_id, a.tenant_id, case when a.resolved_at is null then 'open' else 'resolved' end as status, a.rule, a.severity,
           a.message, a.job_id, a.job, a.kind, a.value, a.threshold, a.resolution, milepost_private.is_muted(a, now()) as is_muted,
           a.opened_at, a.resolved_at
    from milepost_private.alerts a
    where a.tenant_id = any (array(select milepost_private.my_tenants())) and a.opened_at is not null
      and (list_alerts.tenant_id is null or a.tenant_id = list_alerts.tenant_id)
      and (list_alerts.status is null or (a.resolved_at is null) = (list_alerts.status = 'open'))
      and (v_after is null or (a.opened_at, a.alert_id) < ((v_after ->> 0)::timestamptz, (v_after ->> 1)::uuid))
    order by a.opened_at desc, a.alert_id desc limit v_size + 1
  ) p;
  return jsonb_build_object(
    'alerts', (select coalesce(jsonb_agg(x.value || jsonb_build_object(
                 'opened_at', milepost_private.iso((x.value ->> 'opened_at')::timestamptz),
                 'resolved_at', milepost_private.iso((x.value ->> 'resolved_at')::timestamptz)) order by x.n), '[]')
               from jsonb_array_elements(v_page) with ordinality as x (value, n) where x.n <= v_size),
    'next', case when jsonb_array_length(v_page) > v_size then
      milepost_private.page_cursor(jsonb_build_array(v_page -> (v_size - 1) -> 'opened_at', v_page -> (v_size - 1) -> 'alert_id')) end);
end;
$$;
comment on function milepost.list_alerts(text, uuid, int, text) is
'The caller''s alerts, newest first: {"alerts", "next"}; status is open, resolved, or null for both.';

create or replace function milepost.list_alert_rules(tenant_id uuid default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object(
    'rules', (
      select coalesce(jsonb_agg(to_jsonb(r) order by r.tenant_id, r.severity, r.rule), '[]') from milepost_private.alert_rules_in_force r
      where r.tenant_id = any (array(select milepost_private.my_tenants()))
        and (list_alert_rules.tenant_id is null or r.tenant_id = list_alert_rules.tenant_id)),
    'mutes', (
      select coalesce(jsonb_agg(jsonb_build_object('tenant_id', m.tenant_id, 'rule', m.rule, 'kind', m.kind, 'job_id', m.job_id,
               'until', milepost_private.iso(m.until), 'reason', m.reason, 'actor', m.actor) order by m.until), '[]')
      from milepost_private.alert_mutes m
      where m.tenant_id = any (array(select milepost_private.my_tenants())) and m.until > now()
        and (list_alert_rules.tenant_id is null or m.tenant_id = list_alert_rules.tenant_id)));
end;
$$;
comment on function milepost.list_alert_rules(uuid) is 'The caller''s tenants'' rules, as defaults and changes make them, and what is muted: {"rules", "mutes"}.';

-- keep_alert_rule: a tenant's own figures of a rule.
create or replace function milepost_private.keep_alert_rule(rule milepost_private.alert_rules)
returns uuid
language plpgsql
volatile
security definer                -- callers may write no table; tenant_to_manage decides
set search_path = ''
as $$
begin
  rule.tenant_id := milepost_private.tenant_to_manage(rule.tenant_id, array['admin']);
  insert into milepost_private.alert_rules as r select (rule).*
  on conflict on constraint alert_rules_pkey do update set
    is_on = excluded.is_on, threshold = excluded.threshold, window_s = excluded.window_s, for_s = excluded.for_s;
  return rule.tenant_id;
end;
$$;
comment on function milepost_private.keep_alert_rule(milepost_private.alert_rules) is
'Keeps a rule''s figures for an admin or operator key, and returns the tenant. Refuses with 403 and 422.';
revoke execute on function milepost_private.keep_alert_rule(milepost_private.alert_rules) from public, anon, authenticated;
grant execute on function milepost_private.keep_alert_rule(milepost_private.alert_rules) to authenticated, service_role;

create or replace function milepost.set_alert_rule(
  rule text, is_on boolean default true, threshold double precision default null, window_s int default null, for_s int default null,
  tenant_id uuid default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid;
begin
  perform milepost_private.check_alert_rule(rule);
  -- GUARD: values that a constraint would refuse less clearly
  if not threshold >= 0 or threshold = 'infinity' or not window_s between 60 and 2592000 or not for_s between 0 and 86400 then
    perform milepost_private.refuse(422, 'out_of_range',
      'Expected a threshold of 0 or more, window_s from 60 to 2592000 (30 days), for_s from 0 to 86400 (a day).', 'Send values within the limits.');
  end if;
  v_tenant := milepost_private.keep_alert_rule(row(tenant_id, rule, coalesce(is_on, true), threshold, window_s, for_s));
  return (select to_jsonb(r) from milepost_private.alert_rules_in_force r
          where r.tenant_id = v_tenant and r.rule = set_alert_rule.rule);
end;
$$;
comment on function milepost.set_alert_rule(text, boolean, double precision, int, int, uuid) is
'Turns a rule on or off, or changes its figures; what is left out is as by default. For admins and operator keys. Returns the rule.';

-- keep_alert_channel, drop_alert_channel: a tenant's channels.
create or replace function milepost_private.keep_alert_channel(channel milepost_private.alert_channels)
returns uuid
language plpgsql
volatile
security definer                -- callers may write no table; tenant_to_manage decides
set search_path = ''
as $$
begin
  channel.tenant_id := milepost_private.tenant_to_manage(channel.tenant_id, array['admin']);
  if (select count(*) from milepost_private.alert_channels c where c.tenant_id = channel.tenant_id) >= 20 then
    perform milepost_private.refuse(422, 'out_of_range', 'Expected at most 20 channels in a tenant; there are as many already.', 'Remove one first.');
  end if;
  -- What was announced before is not told to it.
  channel.told := coalesce((select max(a.announcement) from milepost_private.alerts a where a.tenant_id = channel.tenant_id), 0);
  insert into milepost_private.alert_channels select (channel).*;
  return channel.tenant_id;
end;
$$;
comment on function milepost_private.keep_alert_channel(milepost_private.alert_channels) is
'Adds a channel for an admin or operator key, and returns the tenant. Refuses with 403 and 422.';
revoke execute on function milepost_private.keep_alert_channel(milepost_private.alert_channels) from public, anon, authenticated;
grant execute on function milepost_private.keep_alert_channel(milepost_private.alert_channels) to authenticated, service_role;

create or replace function milepost_private.drop_alert_channel(channel_id uuid)
returns boolean
language plpgsql
volatile
security definer                -- callers may write no table; managed_tenants decides
set search_path = ''
as $$
declare
  -- Asked first: in the condition it would be asked only where there is such a channel, which takes longer.
  v_tenants uuid[] := array(select milepost_private.managed_tenants(array['admin']));
begin
  delete from milepost_private.alert_channels c
  where c.channel_id = drop_alert_channel.channel_id and c.tenant_id = any (v_tenants);
  return found;
end;
$$;
comment on function milepost_private.drop_alert_channel(uuid) is 'Removes a channel that the caller manages; false if there is none.';
revoke execute on function milepost_private.drop_alert_channel(uuid) from public, anon, authenticated;
grant execute on function milepost_private.drop_alert_channel(uuid) to authenticated, service_role;

create or replace function milepost.add_alert_channel(
  type text, name text, address text, quiet_from time default null, quiet_until time default null, time_zone text default null,
  tenant_id uuid default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid;
  v_id     uuid := gen_random_uuid();
  v_zone   text := coalesce(time_zone, 'UTC');
  v_secret text;
  v_shown  text;
begin
  -- GUARD: what no message could be sent to
  if type is null or type not in ('webhook', 'slack', 'email') then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected type webhook, slack or email; found %s.', type));
  end if;
  if address is null or type = 'email' and address !~ '^[^@\s,<>"]+@[^@\s,<>"]+(, ?[^@\s,<>"]+@[^@\s,<>"]+){0,19}$' or length(address) > 2000
    or type <> 'email' and address !~ '^https?://[^\s/?#@]+([/?#]\S*)?$' then
    perform milepost_private.refuse(422, 'invalid_value',
      case type when 'email' then 'Expected up to 20 e-mail addresses with commas between them.'
                else 'Expected an http or https URL without a user name in it.' end, 'Correct the address.');
  end if;
  perform milepost_private.check_name('name', coalesce(name, ''));
  if (quiet_from is null) <> (quiet_until is null) then
    perform milepost_private.refuse(422, 'missing_field', 'Expected both quiet_from and quiet_until, or neither; found one.');
  end if;
  begin
    perform now() at time zone v_zone;
  exception when invalid_parameter_value then
    perform milepost_private.refuse(422, 'invalid_value', format('Expected the name of a time zone; %s is none.', v_zone), 'Send for example Europe/Berlin.');
  end;

  if type = 'webhook' then
    -- As https://www.standardwebhooks.com has it; two random uuids have 244 bits.
    v_secret := 'whsec_' || encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'base64');
  end if;
  v_shown := case when type = 'email' then address else substring(address from '^https?://[^/?#]+') end;
  v_tenant := milepost_private.keep_alert_channel(row(
    v_id, tenant_id, type, name, address, v_secret, v_shown, quiet_from, quiet_until, v_zone, 0, now()));
  return jsonb_build_object('channel_id', v_id, 'tenant_id', v_tenant, 'type', type, 'name', name, 'address', v_shown,
    'quiet_from', quiet_from, 'quiet_until', quiet_until, 'time_zone', v_zone, 'secret', v_secret);
end;
$$;
comment on function milepost.add_alert_channel(text, text, text, time, time, text, uuid) is
'Adds a channel; a webhook''s signing secret is shown this once. It hears of what changes from now on. For admins and operator keys.';

create or replace function milepost.list_alert_channels(tenant_id uuid default null)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
    select coalesce(jsonb_agg(jsonb_build_object('channel_id', c.channel_id, 'tenant_id', c.tenant_id, 'type', c.type, 'name', c.name,
             'address', c.shown, 'quiet_from', c.quiet_from, 'quiet_until', c.quiet_until, 'time_zone', c.time_zone,
             'last_delivered_at', milepost_private.iso(d.delivered_at), 'last_error', l.last_error, 'attempts', l.attempts,
             'next_attempt_at', case when l.delivered_at is null and l.gave_up_at is null then milepost_private.iso(l.due_at) end,
             'gave_up_at', milepost_private.iso(l.gave_up_at)) order by c.created_at, c.channel_id), '[]')
    from milepost_private.alert_channels c
    left join lateral (
      select max(x.delivered_at) as delivered_at from milepost_private.alert_deliveries x where x.channel_id = c.channel_id
    ) d on true
    left join lateral (
      select x.* from milepost_private.alert_deliveries x where x.channel_id = c.channel_id order by x.created_at desc limit 1
    ) l on true
    where c.tenant_id = any (array(select milepost_private.managed_tenants(array['admin'])))
      and (list_alert_channels.tenant_id is null or c.tenant_id = list_alert_channels.tenant_id));
end;
$$;
comment on function milepost.list_alert_channels(uuid) is
'The channels of tenants that the caller manages, and how their last message went. Of a URL only the host is shown.';

create or replace function milepost.remove_alert_channel(channel_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  if not milepost_private.drop_alert_channel(channel_id) then
    perform milepost_private.refuse(404, 'channel_not_found',
      format('Expected the id of a channel that you manage; %s is none.', remove_alert_channel.channel_id), 'List them with: milepost alerts channels');
  end if;
  return jsonb_build_object('channel_id', channel_id, 'removed', true);
end;
$$;
comment on function milepost.remove_alert_channel(uuid) is 'Removes a channel, with what it has not been sent yet. For admins and operator keys.';

-- keep_mute: begins, changes or ends a mute.
create or replace function milepost_private.keep_mute(mute milepost_private.alert_mutes)
returns void
language plpgsql
volatile
security definer                -- callers may write no table; tenant_to_manage decides
set search_path = ''
as $$
begin
  mute.tenant_id := milepost_private.tenant_to_manage(mute.tenant_id, array['operator', 'admin']);
  if mute.until > now() then
    insert into milepost_private.alert_mutes as m select (mute).*
    on conflict on constraint one_mute_for_each_scope do update set until = excluded.until, reason = excluded.reason, actor = excluded.actor;
  else
    delete from milepost_private.alert_mutes m
    where m.tenant_id = mute.tenant_id and m.rule is not distinct from mute.rule and m.kind is not distinct from mute.kind
      and m.job_id is not distinct from mute.job_id;
  end if;
end;
$$;
comment on function milepost_private.keep_mute(milepost_private.alert_mutes) is
'Keeps a mute for an operator, or ends the one of its scope where its time is past. Refuses with 403 and 422.';
revoke execute on function milepost_private.keep_mute(milepost_private.alert_mutes) from public, anon, authenticated;
grant execute on function milepost_private.keep_mute(milepost_private.alert_mutes) to authenticated, service_role;

create or replace function milepost.mute_alerts(
  until timestamptz, rule text default null, kind text default null, job_id text default null, reason text default null,
  tenant_id uuid default null
)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_tenant uuid := milepost_private.tenant_to_manage(tenant_id, array['operator', 'admin']);
  v_job    milepost.jobs;
begin
  perform milepost_private.check_name('kind', kind);
  if rule is not null then
    perform milepost_private.check_alert_rule(rule);
  end if;
  if job_id is not null then
    select * into v_job from milepost_private.job_by_ref(v_tenant, mute_alerts.job_id);
    if v_job.job_id is null then
      perform milepost_private.refuse(404, 'job_not_found',
        format('Expected the id or key of a job; %s is none that you can see.', mute_alerts.job_id),
        'Check the id, or list your jobs with GET /v1/jobs.');
    end if;
  end if;
  perform milepost_private.keep_mute(row(gen_random_uuid(), v_tenant, rule, kind, v_job.job_id, until, left(reason, 2000), milepost_private.actor()));
  return jsonb_build_object('tenant_id', v_tenant, 'rule', rule, 'kind', kind, 'job_id', v_job.job_id, 'job', v_job.key,
                            'until', case when until > now() then milepost_private.iso(until) end);
end;
$$;
comment on function milepost.mute_alerts(timestamptz, text, text, text, text, uuid) is
'Nobody is told of such alerts until then: of a rule, a kind, a job, or all; a time that is past ends the mute. For operators.';

revoke execute on function milepost.list_alerts(text, uuid, int, text), milepost.list_alert_rules(uuid),
  milepost.set_alert_rule(text, boolean, double precision, int, int, uuid),
  milepost.add_alert_channel(text, text, text, time, time, text, uuid), milepost.list_alert_channels(uuid),
  milepost.remove_alert_channel(uuid), milepost.mute_alerts(timestamptz, text, text, text, text, uuid) from public, anon, authenticated;
grant execute on function milepost.list_alerts(text, uuid, int, text), milepost.list_alert_rules(uuid),
  milepost.set_alert_rule(text, boolean, double precision, int, int, uuid),
  milepost.add_alert_channel(text, text, text, time, time, text, uuid), milepost.list_alert_channels(uuid),
  milepost.remove_alert_channel(uuid), milepost.mute_alerts(timestamptz, text, text, text, text, uuid) to authenticated, service_role;
