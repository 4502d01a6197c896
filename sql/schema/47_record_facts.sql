-- record_facts: what entries say of their jobs beside counts: kind, name, unit, metadata, deadline and rate limit. Of each
-- lane and field the greatest seq counts; between lanes the later receipt wins. Call it when the lanes are there.
create or replace function milepost_private.record_facts(entries milepost_private.entry[])
returns void
language plpgsql
volatile
set search_path = ''
as $$
begin
  with folded as (
    select e.job_id, e.worker, max(e.n) as n,
           (array_agg(e.rate_limited_until order by e.seq desc) filter (where e.names_rate_limit))[1] as rate_limited_until,
           coalesce(max(e.seq) filter (where e.names_rate_limit), -1) as rate_limited_seq,
           (array_agg(e.processing_deadline_ms order by e.seq desc) filter (where e.names_deadline))[1] as deadline_ms,
           coalesce(max(e.seq) filter (where e.names_deadline), -1) as deadline_seq,
           (array_agg(e.metadata order by e.seq desc) filter (where e.metadata is not null))[1] as metadata,
           coalesce(max(e.seq) filter (where e.metadata is not null), -1) as metadata_seq,
           (array_agg(e.kind order by e.seq desc) filter (where e.kind is not null))[1] as kind,
           coalesce(max(e.seq) filter (where e.kind is not null), -1) as kind_seq,
           (array_agg(e.name order by e.seq desc) filter (where e.name is not null))[1] as name,
           coalesce(max(e.seq) filter (where e.name is not null), -1) as name_seq,
           (array_agg(e.unit order by e.seq desc) filter (where e.unit is not null))[1] as unit,
           coalesce(max(e.seq) filter (where e.unit is not null), -1) as unit_seq
    from unnest(entries) e
    group by e.job_id, e.worker
  ), news as (
    select f.*, f.rate_limited_seq > l.rate_limited_seq as has_rate_limit, f.deadline_seq > l.deadline_seq as has_deadline,
           f.metadata_seq > l.metadata_seq as has_metadata, f.kind_seq > l.kind_seq as has_kind,
           f.name_seq > l.name_seq as has_name, f.unit_seq > l.unit_seq as has_unit
    from folded f join milepost.lanes l on l.job_id = f.job_id and l.worker = f.worker
  ), kept as (
    update milepost.lanes l set
      rate_limited_seq = greatest(l.rate_limited_seq, n.rate_limited_seq), deadline_seq = greatest(l.deadline_seq, n.deadline_seq),
      metadata_seq = greatest(l.metadata_seq, n.metadata_seq), kind_seq = greatest(l.kind_seq, n.kind_seq),
      name_seq = greatest(l.name_seq, n.name_seq), unit_seq = greatest(l.unit_seq, n.unit_seq)
    from news n where l.job_id = n.job_id and l.worker = n.worker
      and (n.has_rate_limit or n.has_deadline or n.has_metadata or n.has_kind or n.has_name or n.has_unit)
  )
  update milepost.jobs j set
    rate_limited_until = case when c.has_rate_limit then c.rate_limited_until else j.rate_limited_until end,
    processing_deadline_ms = case when c.has_deadline then c.deadline_ms else j.processing_deadline_ms end,
    metadata = coalesce(c.metadata, j.metadata), kind = coalesce(c.kind, j.kind), name = coalesce(c.name, j.name),
    unit = coalesce(c.unit, j.unit)
  from (
    select n.job_id, bool_or(n.has_rate_limit) as has_rate_limit, bool_or(n.has_deadline) as has_deadline,
           (array_agg(n.rate_limited_until order by n.n desc) filter (where n.has_rate_limit))[1] as rate_limited_until,
           (array_agg(n.deadline_ms order by n.n desc) filter (where n.has_deadline))[1] as deadline_ms,
           (array_agg(n.metadata order by n.n desc) filter (where n.has_metadata))[1] as metadata,
           (array_agg(n.kind order by n.n desc) filter (where n.has_kind))[1] as kind,
           (array_agg(n.name order by n.n desc) filter (where n.has_name))[1] as name,
           (array_agg(n.unit order by n.n desc) filter (where n.has_unit))[1] as unit
    from news n
    where n.has_rate_limit or n.has_deadline or n.has_metadata or n.has_kind or n.has_name or n.has_unit
    group by n.job_id
  ) c
  where j.job_id = c.job_id;
end;
$$;
comment on function milepost_private.record_facts(milepost_private.entry[]) is
'Records what checkpoints say of kind, name, unit, metadata, deadline and rate limit of their jobs.';
revoke execute on function milepost_private.record_facts(milepost_private.entry[]) from public, anon, authenticated;
grant execute on function milepost_private.record_facts(milepost_private.entry[]) to service_role;
