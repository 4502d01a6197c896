-- pace_share: which share of its time a run of a kind has behind it when this share of it is settled.
create or replace function milepost_private.pace_share(
  shape    float8[],  -- of the kind; null = even
  fraction float8     -- 0 to 1
)
returns float8
language plpgsql
immutable
set search_path = ''
as $$
declare
  v_tenth  int;
  v_before float8;
begin
  fraction := least(greatest(fraction, 0), 1);
  if shape is not null then
    -- Straight lines between the tenths.
    v_tenth := least(floor(10 * fraction)::int, 9);
    v_before := coalesce(shape[v_tenth], 0);
    fraction := v_before + (10 * fraction - v_tenth) * (coalesce(shape[v_tenth + 1], 1) - v_before);
  end if;
  return least(greatest(fraction, 0.001), 0.999);
end;
$$;

comment on function milepost_private.pace_share(float8[], float8) is
'The share of its time that a run of this shape has behind it at this fraction; never quite 0 or 1.';

revoke execute on function milepost_private.pace_share(float8[], float8) from public, anon, authenticated;
grant execute on function milepost_private.pace_share(float8[], float8) to authenticated, service_role;
