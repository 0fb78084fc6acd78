-- finish_many (T2): write the outcomes of attempts, settle their deliveries, and add the next jobs.
--
-- Takes a JSON array of attempt results. Only the holder of delivery.claim settles the delivery; a late
-- one is recorded as stale and changes nothing else. Calling it again after a lost answer is harmless:
-- a finished attempt is left as it is, and the answer waits until it is on the standby, if there is one.
--
-- next_in_seconds: when to try again, from now by this server's clock; null = not at all.
--
-- Planned once a session, with bounds and `= any (ids)`: see deliveries/delivery_state.sql.
-- Apart from finish_many, which seldom needs it.
create or replace function postrider.verdict_of_late(attempt uuid) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
  return case (select a.outcome from postrider.attempt a where a.id = attempt) when 'stale' then 'stale' else 'already' end;
end
$$;
comment on function postrider.verdict_of_late(uuid) is
  'What is said of an attempt that did not settle its delivery: stale, or already.';

create or replace function postrider.finish_many(
  results json, disable_after interval default '5 days', shared json default '{}', batch uuid default null
)
returns table (attempt_id uuid, verdict text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  finished postrider.attempt_result[] := array(
    select row(r.*)::postrider.attempt_result
    from json_populate_recordset(json_populate_record(null::postrider.attempt_result, shared), results) as r);
  ids record;
  settled postrider.settled_delivery[];
  settled_attempts uuid[];
  is_whole boolean;
begin
  perform postrider.make_commit_durable();
  select sorted.attempts, sorted.attempts[1] as low, sorted.attempts[cardinality(sorted.attempts)] as high
  into ids
  from (select array_agg(f.attempt_id order by f.attempt_id) as attempts from unnest(finished) as f) as sorted;

  settled := array(select s from postrider.settle_deliveries(finished) as s);
  settled_attempts := array(select s.attempt_id from unnest(settled) as s);
  is_whole := cardinality(settled_attempts) = cardinality(finished);

  update postrider.attempt a
  set outcome = case when is_whole or f.attempt_id = any (settled_attempts) then f.outcome else 'stale' end,
    status_code = f.status_code, reason = f.reason, error = f.error, error_detail = f.error_detail, duration_ms = f.duration_ms,
    dns_ms = f.dns_ms, connect_ms = f.connect_ms, tls_ms = f.tls_ms, first_byte_ms = f.first_byte_ms,
    request_headers = f.request_headers, response_headers = f.response_headers,
    response_body = f.response_body, url = f.url, finished_at = clock_timestamp()
  from unnest(finished) as f
  where a.id = any (ids.attempts) and a.id between ids.low and ids.high and a.id = f.attempt_id
    and (a.outcome = 'started' or (a.outcome = 'abandoned' and f.attempt_id <> all (settled_attempts)));

  perform postrider.note_health(settled, disable_after);
  if batch is not null then
    perform postrider.end_batch(batch, finished, settled_attempts);
  end if;

  -- A repeat may change nothing, and a transaction that writes nothing does not wait for the standby; but what it
  -- finds done may be on this server only, when the wait of the first one was cut off.
  if not is_whole then
    perform pg_logical_emit_message(true, 'postrider', '');
  end if;

  return query
  select f.attempt_id, coalesce(s.state, postrider.verdict_of_late(f.attempt_id))
  from unnest(finished) as f
  left join unnest(settled) as s on s.attempt_id = f.attempt_id;
end
$$;
comment on function postrider.finish_many(json, interval, json, uuid) is
  'Writes attempt results and settles their deliveries (shared: what all of them have in common; batch: the one that they were sent in); an endpoint that failed throughout disable_after without a success is disabled. Verdict per attempt: the new state of the delivery; stale (another had taken over: throw, so that the job is not completed); already (finished before).';
