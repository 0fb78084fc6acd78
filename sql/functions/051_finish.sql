-- finish_many (T2): write the outcomes of attempts, settle their deliveries, and add the next jobs.
--
-- Takes a JSON array of attempt results. Only the holder of delivery.claim settles the delivery; a late
-- one is recorded as stale and changes nothing else. Calling it again after a lost answer is harmless:
-- a finished attempt is left as it is.
--
-- next_in_seconds: when to try again, from now by this server's clock; null = not at all.
-- An attempt that was interrupted (by a shutdown, or with its kept-alive connection) is repeated without using
-- up the retry schedule; one that a fault of ours interrupted uses it up, so that the delivery ends.
--
-- Planned once a session, with bounds and `= any (ids)`: see claim_many.
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

-- A runner of a release before that calls it with one argument is to find this one.
drop function if exists postrider.finish_many(json);
create or replace function postrider.finish_many(results json, disable_after interval default '5 days')
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
    from json_populate_recordset(null::postrider.attempt_result, results) as r);
  ids record;
  settled postrider.settled_delivery[];
  settled_attempts uuid[];
  tests uuid[];
  asked uuid[];
begin
  select deliveries, deliveries[1] as delivery_low, deliveries[cardinality(deliveries)] as delivery_high,
    attempts, attempts[1] as attempt_low, attempts[cardinality(attempts)] as attempt_high
  into ids
  from (select array_agg(f.delivery_id order by f.delivery_id) as deliveries,
          array_agg(f.attempt_id order by f.attempt_id) as attempts
        from unnest(finished) as f) as sorted;

  with settled as (
    update postrider.delivery d
    set state = case
          when d.state = 'cancelled' then 'cancelled'
          when f.outcome = 'delivered' then 'delivered'
          when f.next_in_seconds is null then 'failed'
          when e.deleted_at is not null then 'cancelled'
          when postrider.sendable(e, t, c) then 'pending'
          else 'held' end,
      claim = null,
      due_attempt = d.due_attempt + 1,
      put_off_until = null,
      schedule_step = d.schedule_step
        + (f.outcome not in ('delivered', 'interrupted') or coalesce(f.reason = 'fault', false))::int,
      abandoned_count = 0,
      -- What was cut off is made again for the same reason; a test is a test still.
      trigger = case when f.next_in_seconds is null or d.trigger = 'test' or f.outcome = 'interrupted'
        then d.trigger else 'schedule' end,
      next_attempt_at = case
        when d.state = 'cancelled' or f.outcome = 'delivered' or e.deleted_at is not null then null
        else now() + make_interval(secs => f.next_in_seconds) end,
      finished_at = case
        when d.state = 'cancelled' then d.finished_at
        when f.outcome = 'delivered' or f.next_in_seconds is null or e.deleted_at is not null then now() end
    from unnest(finished) as f, postrider.tenant t, postrider.endpoint e
    left join postrider.circuit c on c.endpoint_id = e.id
    where d.id = any (ids.deliveries) and d.id between ids.delivery_low and ids.delivery_high
      and d.id = f.delivery_id
      and d.claim = f.attempt_id and e.id = d.endpoint_id and t.id = d.tenant_id
    returning d.id, f.attempt_id, d.tenant_id, d.endpoint_id, d.event_id, d.state, d.due_attempt,
      d.next_attempt_at, f.outcome, f.status_code, f.reason, d.trigger
  )
  select
    coalesce(array_agg(row(s.id, s.attempt_id, s.tenant_id, s.endpoint_id, s.event_id, s.state, s.due_attempt,
      s.next_attempt_at, s.outcome, s.status_code, s.reason)::postrider.settled_delivery), '{}'),
    coalesce(array_agg(s.attempt_id), '{}'),
    coalesce(array_agg(s.id) filter (where s.trigger = 'test'), '{}'),
    coalesce(array_agg(s.id) filter (where s.trigger = 'manual'), '{}')
  into settled, settled_attempts, tests, asked
  from settled s;

  update postrider.attempt a
  set outcome = case when f.attempt_id = any (settled_attempts) then f.outcome else 'stale' end,
    status_code = f.status_code, reason = f.reason, error = f.error, duration_ms = f.duration_ms,
    dns_ms = f.dns_ms, connect_ms = f.connect_ms, tls_ms = f.tls_ms, first_byte_ms = f.first_byte_ms,
    request_headers = f.request_headers, response_headers = f.response_headers,
    response_body = f.response_body, finished_at = clock_timestamp()
  from unnest(finished) as f
  where a.id = any (ids.attempts) and a.id between ids.attempt_low and ids.attempt_high and a.id = f.attempt_id
    and (a.outcome = 'started' or (a.outcome = 'abandoned' and f.attempt_id <> all (settled_attempts)));

  perform postrider.enqueue(
    array_agg(s.id), array_agg(s.due_attempt), array_agg(s.next_attempt_at), array_agg(s.endpoint_id),
    array_agg(case when s.id = any (tests) then 'test' when s.id = any (asked) then 'manual' end))
  from unnest(settled) as s
  where s.state = 'pending';

  perform postrider.note_health(settled, tests, disable_after);

  return query
  select f.attempt_id, coalesce(s.state, postrider.verdict_of_late(f.attempt_id))
  from unnest(finished) as f
  left join unnest(settled) as s on s.attempt_id = f.attempt_id;
end
$$;
comment on function postrider.finish_many(json, interval) is
  'Writes attempt results and settles their deliveries; an endpoint that failed throughout disable_after without a success is disabled. Verdict per attempt: the new state of the delivery; stale (another had taken over: throw, so that the job is not completed); already (finished before).';

comment on column postrider.attempt.outcome is
  'started (claimed, perhaps on the wire), delivered (2xx), rejected (another status), unreachable (no status), blocked (never sent: the address or the URL is not allowed, or the data was erased), abandoned (its runner died), stale (finished after another had taken over), interrupted (cut off by a shutdown, or with a kept-alive connection that the receiver had closed; repeated at once).';
