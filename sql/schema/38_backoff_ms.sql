-- backoff_ms: how long an attempt waits. base, doubled for each attempt after the second, at most 15 minutes, +-20 % jitter.
create or replace function milepost_private.backoff_ms(base_ms bigint, attempt int)
returns double precision
language plpgsql
volatile
set search_path = ''
as $$
begin
  return least(base_ms * 2 ^ least(greatest(attempt - 2, 0), 30), 900000) * (0.8 + 0.4 * random());
end;
$$;
comment on function milepost_private.backoff_ms(bigint, int) is
'Wait before the given attempt, in ms: the base before attempt 2, doubled for each further one, at most 15 minutes, +-20 % jitter.';
revoke execute on function milepost_private.backoff_ms(bigint, int) from public, anon, authenticated;
grant execute on function milepost_private.backoff_ms(bigint, int) to service_role;
