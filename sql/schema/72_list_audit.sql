-- list_audit: who did what in the caller's tenants, newest first, keyset paged.
create or replace function milepost.list_audit(
  job_id  text default null,
  action  text[] default null,
  "limit" int default 50,
  after   text default null
)
returns jsonb
language plpgsql
stable
set search_path = ''
set plan_cache_mode = 'force_custom_plan'  -- of one job, or of all
as $$
declare
  v_tenants uuid[] := array(select milepost_private.managed_tenants(array['operator', 'admin']));
  v_job     uuid;
  v_size    int := milepost_private.page_size("limit");
  v_after   jsonb := milepost_private.page_after(after, '{bigint}');
begin
  -- GUARD: sees jobs, but operates none of its tenants
  if v_tenants = '{}' then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected an operator, an admin or an operator key.',
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
  -- The audit outlives the job, so its id is enough.
  if list_audit.job_id is not null then
    v_job := case when pg_input_is_valid(list_audit.job_id, 'uuid') then list_audit.job_id::uuid
                  else (milepost_private.visible_job(list_audit.job_id)).job_id end;
  end if;
  return (
    with page as (
      select a.*, row_number() over (order by a.audit_id desc) as place
      from milepost.audit a
      where a.tenant_id = any (v_tenants)
        and (v_job is null or a.job_id = v_job)
        and (list_audit.action is null or a.action = any (list_audit.action))
        and (v_after is null or a.audit_id < (v_after ->> 0)::bigint)
      order by a.audit_id desc
      limit v_size + 1
    )
    select jsonb_build_object(
      'audit', coalesce(jsonb_agg(jsonb_build_object(
        'id', p.audit_id, 'tenant_id', p.tenant_id, 'at', milepost_private.iso(p.at), 'actor', p.actor, 'action', p.action,
        'job_id', p.job_id, 'subject', p.subject, 'reason', p.reason, 'details', p.details) order by p.place)
        filter (where p.place <= v_size), '[]'),
      'next', case when count(*) > v_size then milepost_private.page_cursor(
        jsonb_build_array(max(p.audit_id) filter (where p.place = v_size))) end)
    from page p);
end;
$$;
comment on function milepost.list_audit(text, text[], int, text) is
'What was done by people and the sweep (to one job, if given), newest first: {"audit", "next"}. For operators, admins and operator keys; refuses others with not_allowed.';
revoke execute on function milepost.list_audit(text, text[], int, text) from public, anon, authenticated;
grant execute on function milepost.list_audit(text, text[], int, text) to authenticated, service_role;
