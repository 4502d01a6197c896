-- Who paused, canceled, retried or reset what this week, and made keys?
select a.at, a.actor, a.action, a.subject, a.reason, a.details ->> 'prior_state' as prior_state, a.details ->> 'new_state' as new_state
from milepost.audit a
where a.at > now() - interval '8 days'
order by a.at desc, a.audit_id desc
limit 100;
