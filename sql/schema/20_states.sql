-- transitions: the state machine, as data. Whatever is not listed here does not happen.
create table if not exists milepost_private.transitions (
  prior_state text not null,
  new_state   text not null,
  verb        text not null,
  constraint transitions_pkey primary key (prior_state, new_state, verb)
);
comment on table milepost_private.transitions is
'The permitted changes of a job''s state and the verb that causes each: report (a worker), pause, resume, cancel, retry (a person), claim, reset (the sweep).';
comment on column milepost_private.transitions.prior_state is 'From.';
comment on column milepost_private.transitions.new_state is 'To.';
comment on column milepost_private.transitions.verb is 'Who or what may do it.';

alter table milepost_private.transitions enable row level security;
drop policy if exists "the state machine is no secret" on milepost_private.transitions;
create policy "the state machine is no secret" on milepost_private.transitions for select to authenticated
  using (prior_state is not null);
revoke all on milepost_private.transitions from public, anon, authenticated;
grant select on milepost_private.transitions to authenticated, service_role;

with wanted (prior_state, verb, new_states) as (values
  ('pending',    'report', array['running', 'canceled']),
  ('retrying',   'report', array['running', 'canceled']),
  ('running',    'report', array['paused', 'completing', 'completed', 'canceled', 'failed', 'retrying']),
  ('completing', 'report', array['completed', 'canceled', 'failed', 'retrying']),
  ('pausing',    'report', array['paused', 'completing', 'completed', 'canceled', 'failed', 'retrying']),
  ('paused',     'report', array['running', 'completed', 'canceled', 'failed', 'retrying']),
  ('canceling',  'report', array['canceled', 'completed', 'failed']),
  ('pending',    'claim',  array['running']),
  ('retrying',   'claim',  array['running']),
  ('pending',    'pause',  array['paused']),
  ('retrying',   'pause',  array['paused']),
  ('running',    'pause',  array['pausing']),
  ('pausing',    'resume', array['running']),
  ('paused',     'resume', array['running', 'pending', 'retrying']),
  ('pending',    'cancel', array['canceled']),
  ('retrying',   'cancel', array['canceled']),
  ('running',    'cancel', array['canceling']),
  ('pausing',    'cancel', array['canceling']),
  ('paused',     'cancel', array['canceling', 'canceled']),
  ('completing', 'cancel', array['canceling']),
  ('running',    'retry',  array['retrying']),
  ('completing', 'retry',  array['retrying']),
  ('pausing',    'retry',  array['retrying']),
  ('paused',     'retry',  array['retrying']),
  ('failed',     'retry',  array['retrying']),
  ('canceled',   'retry',  array['retrying']),
  ('running',    'reset',  array['retrying', 'failed']),
  ('completing', 'reset',  array['retrying', 'failed']),
  ('pausing',    'reset',  array['retrying', 'failed', 'paused']),
  ('canceling',  'reset',  array['canceled'])
), rows as (
  select w.prior_state, s.new_state, w.verb from wanted w, unnest(w.new_states) as s (new_state)
), gone as (
  delete from milepost_private.transitions t
  where not exists (select from rows r
                    where (r.prior_state, r.new_state, r.verb) = (t.prior_state, t.new_state, t.verb))
)
insert into milepost_private.transitions select r.prior_state, r.new_state, r.verb from rows r
on conflict do nothing;

-- is_terminal: has the job ended?
create or replace function milepost_private.is_terminal(state text)
returns boolean
language plpgsql
immutable
set search_path = ''
as $$
begin
  return is_terminal.state in ('completed', 'canceled', 'failed');
end;
$$;
comment on function milepost_private.is_terminal(text) is 'Whether a job in this state has ended.';
revoke execute on function milepost_private.is_terminal(text) from public, anon, authenticated;
grant execute on function milepost_private.is_terminal(text) to authenticated, service_role;
