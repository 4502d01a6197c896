-- share_json: a share link as those see it who manage it: without its token, which was shown once.
create or replace function milepost_private.share_json(share milepost_private.shares)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return jsonb_build_object('share_id', share.share_id, 'job_id', share.job_id, 'created_by', share.created_by,
    'created_at', milepost_private.iso(share.created_at), 'expires_at', milepost_private.iso(share.expires_at));
end;
$$;
comment on function milepost_private.share_json(milepost_private.shares) is 'A share link as the API shows it, without its token.';
revoke execute on function milepost_private.share_json(milepost_private.shares) from public, anon, authenticated;
grant execute on function milepost_private.share_json(milepost_private.shares) to authenticated, service_role;

-- require_control: the gate to a job's share links: who may control the job may show it to others.
create or replace function milepost_private.require_control(job_id uuid)
returns void
language plpgsql
stable
set search_path = ''
as $$
declare
  v_job milepost.jobs;
begin
  select * into v_job from milepost.jobs j where j.job_id = require_control.job_id;
  -- GUARD: a viewer, a worker key
  if not coalesce(milepost_private.may_control(v_job.tenant_id, v_job.owner_id, v_job.kind), false) then
    perform milepost_private.refuse(403, 'not_allowed', 'Expected an operator, an admin, an operator key or the owner of the job.',
      'Ask an admin of the tenant for the role operator, or use an operator key.');
  end if;
end;
$$;
comment on function milepost_private.require_control(uuid) is 'Refuses with 403 unless the caller may control the job.';
revoke execute on function milepost_private.require_control(uuid) from public, anon, authenticated;
grant execute on function milepost_private.require_control(uuid) to authenticated, service_role;

create or replace function milepost_private.add_share(job_id uuid, expires_in_s int)
returns jsonb
language plpgsql
volatile
security definer                -- callers may not write share links; require_control decides
set search_path = ''
as $$
declare
  -- Two random uuids: 244 bits, in the letters that an address takes. Shown once; only the hash is kept.
  v_token text := 'sh_' || rtrim(translate(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '+/' || E'\n', '-_'), '=');
  v_share milepost_private.shares;
  v_job   milepost.jobs;
begin
  perform milepost_private.require_control(add_share.job_id);
  select * into v_job from milepost.jobs j where j.job_id = add_share.job_id;
  -- What no longer opens anything is of no use; so a job's links stay few.
  delete from milepost_private.shares s
  where s.job_id = add_share.job_id and s.expires_at <= now();
  -- GUARD: more links than anybody can keep in mind
  if (select count(*) from milepost_private.shares s where s.job_id = add_share.job_id) >= 100 then
    perform milepost_private.refuse(409, 'too_many_shares', 'Expected at most 100 share links of a job; there are as many already.',
      'Revoke one that is no longer needed.');
  end if;
  insert into milepost_private.shares (job_id, token_hash, created_by, expires_at)
  values (add_share.job_id, encode(sha256(convert_to(v_token, 'utf8')), 'hex'), milepost_private.actor(),
          now() + make_interval(secs => expires_in_s))
  returning * into v_share;
  perform milepost_private.write_audit(v_job.tenant_id, milepost_private.actor(), 'share_job', v_job.key,
    jsonb_build_object('share_id', v_share.share_id, 'expires_at', milepost_private.iso(v_share.expires_at)), job_id => v_job.job_id);
  return milepost_private.share_json(v_share) || jsonb_build_object('token', v_token);
end;
$$;
comment on function milepost_private.add_share(uuid, int) is 'Makes a share link for the caller and returns it with its token, once. Refuses with 403 and 409.';
revoke execute on function milepost_private.add_share(uuid, int) from public, anon, authenticated;
grant execute on function milepost_private.add_share(uuid, int) to authenticated, service_role;

create or replace function milepost_private.shares_of(job_id uuid)
returns jsonb
language plpgsql
stable
security definer                -- callers may not read share links; require_control decides
set search_path = ''
as $$
begin
  perform milepost_private.require_control(shares_of.job_id);
  return jsonb_build_object('shares', (
    select coalesce(jsonb_agg(milepost_private.share_json(s) order by s.created_at desc, s.share_id), '[]')
    from milepost_private.shares s
    where s.job_id = shares_of.job_id and s.expires_at > now()));
end;
$$;
comment on function milepost_private.shares_of(uuid) is 'A job''s share links that hold, newest first. Refuses with 403.';
revoke execute on function milepost_private.shares_of(uuid) from public, anon, authenticated;
grant execute on function milepost_private.shares_of(uuid) to authenticated, service_role;

create or replace function milepost_private.end_share(share_id uuid)
returns jsonb
language plpgsql
volatile
security definer                -- callers may not write share links; require_control decides
set search_path = ''
as $$
declare
  -- Asked first: in the condition it would be asked only where there is such a link, which takes longer.
  v_tenants uuid[] := array(select milepost_private.my_tenants());
  v_job     milepost.jobs;
begin
  -- A job is looked for in any case, for the same reason.
  select j.* into v_job from milepost.jobs j
  where j.tenant_id = any (v_tenants)
    and j.job_id = coalesce((select s.job_id from milepost_private.shares s where s.share_id = end_share.share_id),
                            '00000000-0000-0000-0000-000000000000');
  -- GUARD: absent, or of a job that is not the caller's to see; not told apart
  if v_job.job_id is null then
    perform milepost_private.refuse(404, 'share_not_found', 'Expected the id of a share link that you can see; there is none.',
      'List them with GET /v1/jobs/{job}/shares.');
  end if;
  perform milepost_private.require_control(v_job.job_id);
  delete from milepost_private.shares s where s.share_id = end_share.share_id;
  perform milepost_private.write_audit(v_job.tenant_id, milepost_private.actor(), 'revoke_share', v_job.key,
    jsonb_build_object('share_id', share_id), job_id => v_job.job_id);
  return jsonb_build_object('share_id', end_share.share_id, 'revoked', true);
end;
$$;
comment on function milepost_private.end_share(uuid) is 'Revokes a share link for the caller. Refuses with 403 and 404.';
revoke execute on function milepost_private.end_share(uuid) from public, anon, authenticated;
grant execute on function milepost_private.end_share(uuid) to authenticated, service_role;

-- share_job, list_shares, revoke_share: links by which somebody without an account may follow one job.
create or replace function milepost.share_job(job_id text, expires_in_s int default 604800)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
declare
  v_job milepost.jobs := milepost_private.visible_job(job_id);
begin
  -- GUARD: a minute to a year
  if expires_in_s is null or expires_in_s not between 60 and 31622400 then
    perform milepost_private.refuse(422, 'out_of_range',
      format('expires_in_s: expected 60 to 31622400 (366 days), found %s.', coalesce(expires_in_s::text, 'null')), 'Send a value within the limit.');
  end if;
  return milepost_private.add_share(v_job.job_id, expires_in_s) || jsonb_build_object('job', v_job.key);
end;
$$;
comment on function milepost.share_job(text, int) is
'Makes a link by which anybody may read this one job for so many seconds (a week): {"share_id", "token", "expires_at", ...}; the token is shown this once. For operators, admins, operator keys and the owner. Refuses with 403, 404, 409 and 422.';
revoke execute on function milepost.share_job(text, int) from public, anon, authenticated;
grant execute on function milepost.share_job(text, int) to authenticated, service_role;

create or replace function milepost.list_shares(job_id text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return milepost_private.shares_of((milepost_private.visible_job(job_id)).job_id);
end;
$$;
comment on function milepost.list_shares(text) is
'The job''s share links that hold, newest first: {"shares": [{"share_id", "created_by", "created_at", "expires_at", ...}]}, without their tokens. Refuses with 403 and 404.';
revoke execute on function milepost.list_shares(text) from public, anon, authenticated;
grant execute on function milepost.list_shares(text) to authenticated, service_role;

create or replace function milepost.revoke_share(share_id uuid)
returns jsonb
language plpgsql
volatile
set search_path = ''
as $$
begin
  return milepost_private.end_share(share_id);
end;
$$;
comment on function milepost.revoke_share(uuid) is
'Revokes a share link, with effect on the next request: {"share_id", "revoked": true}. Refuses with 403 and 404.';
revoke execute on function milepost.revoke_share(uuid) from public, anon, authenticated;
grant execute on function milepost.revoke_share(uuid) to authenticated, service_role;
