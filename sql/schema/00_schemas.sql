-- Two schemas: milepost is what clients may call, milepost_private is what it stands on.
-- sql/uninstall.sql drops both; nothing else of Milepost's is there but one policy on realtime.messages, which goes with them, and
-- the schedule of 82_cron.sql.
create schema if not exists milepost;
create schema if not exists milepost_private;

comment on schema milepost is
'Milepost: progress of long-running batch jobs. Tables to read, views to ask, functions to call.';
comment on schema milepost_private is
'Milepost, inside: keys, estimator state and helpers. Not exposed by PostgREST.';

revoke all on schema milepost, milepost_private from public, anon;
grant usage on schema milepost, milepost_private to authenticated, service_role;

-- Trigrams, for searching text. Supabase keeps extensions in a schema of their own, which stays when Milepost goes.
create extension if not exists pg_trgm with schema extensions;
