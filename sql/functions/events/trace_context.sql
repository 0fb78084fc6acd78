-- Trace context of what is published (https://www.w3.org/TR/trace-context). One that is malformed counts as none,
-- as the specification wants it: tracing never refuses an event.

create or replace function postrider.valid_traceparent(value text) returns text
language sql immutable strict parallel safe
return case when value ~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' then value end;
comment on function postrider.valid_traceparent(text) is
  'The text if it is a traceparent of version 00, the only one there is; otherwise null.';

create or replace function postrider.valid_tracestate(value text) returns text
language sql immutable strict parallel safe
return case when length(value) <= 512 and value ~ '^[ -~]+$' then value end;
comment on function postrider.valid_tracestate(text) is
  'The text if it can be a tracestate, 512 characters at most; otherwise null.';

-- Most batches have none, so the text is searched before anything is parsed. An item that cannot be parsed
-- costs the batch its traces: its publish is refused or tried again alone anyway.
create or replace function postrider.trace_contexts(events json, out traceparents text[], out tracestates text[])
language plpgsql stable
as $$
declare
  parent_of_all constant text := postrider.valid_traceparent(current_setting('postrider.traceparent', true));
  state_of_all text;
begin
  if parent_of_all is not null then
    state_of_all := postrider.valid_tracestate(current_setting('postrider.tracestate', true));
    traceparents := array_fill(parent_of_all, array[json_array_length(events)]);
    tracestates := array_fill(state_of_all, array[json_array_length(events)]);
  end if;
  if strpos(events::text, '"traceparent"') > 0 then
    select
      array_agg(coalesce(postrider.valid_traceparent(t.traceparent), parent_of_all) order by t.ordinal),
      array_agg(case
        when postrider.valid_traceparent(t.traceparent) is null then state_of_all
        else postrider.valid_tracestate(t.tracestate) end order by t.ordinal)
    into traceparents, tracestates
    from rows from (json_to_recordset(events) as (traceparent text, tracestate text))
      with ordinality as t (traceparent, tracestate, ordinal);
  end if;
exception when data_exception or program_limit_exceeded then
  return;
end
$$;
comment on function postrider.trace_contexts(json, out text[], out text[]) is
  'Trace context of each item of publish_many: its own members traceparent and tracestate, otherwise the settings postrider.traceparent and postrider.tracestate of the transaction. Null where there is none.';
