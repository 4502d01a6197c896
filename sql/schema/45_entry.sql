-- entry: one checkpoint of a request, parsed once.
do $$ begin
  if to_regtype('milepost_private.entry') is null then
    create type milepost_private.entry as (
      n                  int,
      job                text,
      job_id             uuid,
      worker             text,
      attempt            int,
      seq                bigint,
      is_duplicate       boolean,
      refusal            text,
      current_attempt    int,
      at                 timestamptz,
      state              text,
      reason             text,
      message            text,
      names_message      boolean,
      items_total        bigint,
      names_total        boolean,
      worker_items_total bigint,
      names_worker_total boolean,
      items_completed    bigint,
      items_failed       bigint,
      items_skipped      bigint,
      items_canceled     bigint,
      bytes_processed    bigint,
      batch              jsonb,
      stages             jsonb,
      items              jsonb,
      cursor             jsonb,
      names_cursor       boolean,
      rate_limited_until timestamptz,
      names_rate_limit   boolean,
      processing_deadline_ms bigint,
      names_deadline     boolean,
      metadata           jsonb,
      kind               text,
      name               text,
      unit               text,
      traceparent        text
    );
  end if;
end $$;
comment on type milepost_private.entry is
'One checkpoint as it was said. names_... tells a field that was said to be null from one that was left out.';
