-- send_alerts: what /cron/alerts asks. The first call of a round evaluates; each call takes the results of the last ones and
-- hands out messages that are due, with all that is needed to send them. Who is handed a message has two minutes for it, in
-- which nobody else gets it; a result that comes later under an old lease_id is not heard. So two callers never send the same
-- message at the same time; one who sends and dies before it says so makes it go out again.
create or replace function milepost.send_alerts(results jsonb default null, hand_out boolean default true, at timestamptz default null)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_now       timestamptz := coalesce(at, clock_timestamp());
  v_attempts  constant int := 12;
  v_evaluated jsonb;
  v_handed    jsonb;
begin
  if results is null then
    v_evaluated := milepost_private.evaluate_alerts(v_now);
  end if;

  update milepost_private.alert_deliveries d set
    delivered_at = case when r.error is null then v_now end,
    gave_up_at = case when r.error is not null and d.attempts >= v_attempts then v_now end,
    last_error = left(r.error, 500),
    lease_id = null,
    due_at = v_now + least(30 * 2 ^ (d.attempts - 1), 3600) * interval '1 second'
  from jsonb_to_recordset(coalesce(results, '[]')) as r (delivery_id uuid, lease_id uuid, error text)
  where d.delivery_id = r.delivery_id and d.lease_id = r.lease_id;

  update milepost_private.alert_deliveries d set gave_up_at = v_now, lease_id = null
  where d.delivered_at is null and d.gave_up_at is null and d.attempts >= v_attempts and d.due_at <= v_now;

  with due as (
    select d.delivery_id from milepost_private.alert_deliveries d
    where d.delivered_at is null and d.gave_up_at is null and d.due_at <= v_now and hand_out
    order by d.due_at limit 20 for update skip locked
  ), handed as (
    update milepost_private.alert_deliveries d set
      attempts = d.attempts + 1, lease_id = gen_random_uuid(), due_at = v_now + interval '2 minutes',
      last_error = case when d.lease_id is not null then 'whoever was to send it did not say what became of it' else d.last_error end
    from due where d.delivery_id = due.delivery_id
    returning d.delivery_id, d.lease_id, d.attempts, d.channel_id, d.body
  )
  select coalesce(jsonb_agg(jsonb_build_object(
           'delivery_id', h.delivery_id, 'lease_id', h.lease_id, 'attempt', h.attempts, 'channel_id', h.channel_id,
           'channel', c.type, 'address', c.address, 'secret', c.secret, 'body', h.body)), '[]')
  into v_handed
  from handed h join milepost_private.alert_channels c on c.channel_id = h.channel_id;
  return jsonb_build_object('evaluated', v_evaluated, 'deliveries', v_handed);
end;
$$;
comment on function milepost.send_alerts(jsonb, boolean, timestamptz) is
'Takes [{"delivery_id", "lease_id", "error"}] and hands out what is due: {"evaluated", "deliveries"}. Without results it evaluates first; hand_out false ends a round.';
revoke execute on function milepost.send_alerts(jsonb, boolean, timestamptz) from public, anon, authenticated;
grant execute on function milepost.send_alerts(jsonb, boolean, timestamptz) to service_role;
