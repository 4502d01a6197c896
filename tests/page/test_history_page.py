"""The page's history in Chromium, on jobs that ended at known times."""

import json

import pytest
from running_stack import RunningStack
from test_page import CHROMIUM, node, run_tests, stage

# Of each tenant: 120 imports that completed, every two hours; 6 crawls that failed; one job whose texts mean mischief;
# and one that ended too long ago for the first look.
PAST = """
with runs (key, kind, name, state, error, hours_ago, active_s) as (
  select 'import-' || g, 'csv_import', 'Import ' || g, 'completed', null, 2 * g, 600 + g from generate_series(1, 120) g
  union all
  select 'crawl-' || g, 'crawl', 'Crawl ' || g, 'failed', format('row %%s of ''part-%%s.csv'': no date', g, g), 24 * g + 1, 60
  from generate_series(1, 6) g
  union all
  select '=evil', 'media', '=HYPERLINK("http://x", "y")', 'canceled', E'+first\\n<img src=x onerror=alert(1)>', 5, 60
  union all
  select 'ancient', 'csv_import', 'Ancient', 'completed', null, 24 * 60, 60
), made as (
  insert into milepost.jobs (tenant_id, key, kind, name, unit, state, error, items_total, items_completed, counts_reported,
                             created_at, started_at, finished_at)
  select t.tenant_id, r.key, r.kind, r.name, 'rows', r.state, r.error, 1000, case when r.state = 'completed' then 1000 else 10 end, true,
         ended - interval '2 hours', ended - interval '1 hour', ended
  from runs r, jsonb_to_recordset(%s::jsonb) as t (tenant_id uuid), lateral (select now() - r.hours_ago * interval '1 hour' as ended) e
  returning job_id, tenant_id, key, finished_at
)
insert into milepost_private.pulses (job_id, tenant_id, active_s, active_at, pace)
select m.job_id, m.tenant_id, r.active_s, m.finished_at, jsonb_populate_record(null::milepost_private.pace, '{"work": 1000}')
from made m join runs r using (key)
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium, or set CHROMIUM")
def test_the_history_answers_what_people_ask_of_it(stack: RunningStack) -> None:
    node("scripts/vendor.mjs")
    cast = stage(stack, tenants=2)
    stack.sql(PAST, (json.dumps(cast["tenants"]),))
    run_tests("history.test.mjs", cast)
