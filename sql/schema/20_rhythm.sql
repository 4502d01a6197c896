-- Liveness by progress: what is remembered of a job's rhythm, of its kind's, and the verdict drawn from both.
-- The rule is told in docs/liveness.md. All state is of fixed size; clocks are active seconds, which stand still
-- while a job is paused.
do $$
begin
  if to_regtype('milepost_private.rhythm') is null then
    create type milepost_private.rhythm as (
      seen_s        float8,   -- active clock at the last contact
      contact_gap_s float8,   -- longest recent time between contacts
      risen_s       float8,   -- active clock at the last counted rise, fall, resume, retry or stage, where silence begins
      base          float8,   -- settled items at that moment
      high          float8,   -- most settled items ever
      high_s        float8,   -- active clock when that was reached
      falls         int,      -- times the count fell in this attempt since the last new high
      retries       int,      -- attempts begun since the last new high
      falls_most    int,      -- most falls and retries that a new high ever followed
      gaps          int,      -- gaps between counted rises learnt from
      gap_ln        float8,   -- running mean of ln(gap)
      longest_s     float8,   -- longest recent gap
      step_ln       float8,   -- running mean of ln(step), a step being what a counted rise rose by
      first_s       float8,   -- longest first gap after a start, fall, resume, retry or stage
      fresh         boolean   -- the running gap is such a first gap, and no sample of the rhythm
    );
  end if;

  if to_regtype('milepost_private.kind_rhythm') is null then
    create type milepost_private.kind_rhythm as (
      runs      int,      -- completed runs learnt from
      gap_ln    float8,   -- mean over runs of ln(typical gap)
      spread_ln float8,   -- fading maximum over runs of ln(longest gap / typical gap)
      first_s   float8,   -- fading maximum over runs of the first gap
      falls     int       -- fading maximum over runs of the falls that a new high followed
    );
  end if;

  if to_regtype('milepost_private.liveness_verdict') is null then
    create type milepost_private.liveness_verdict as (
      liveness    text,     -- on_time, late, stalled, lost
      threshold_s float8,   -- silence that is too long
      silence_s   float8,   -- active seconds without progress
      reason      text      -- never_started, no_contact, no_net_progress, no_progress; null where on time
    );
  end if;
end;
$$;

comment on type milepost_private.rhythm is
'How regularly a job progresses, in fixed size; advanced by rhythm_step, judged by rhythm_liveness.';
comment on type milepost_private.kind_rhythm is
'What completed runs of a kind taught about its rhythm, in fixed size; advanced by kind_rhythm_learn.';
comment on type milepost_private.liveness_verdict is
'on_time, late, stalled or lost, with the silence, the threshold it was held against, and the reason.';
