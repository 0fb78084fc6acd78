-- claim_many (T1): take deliveries for one attempt each, and write the attempts before anything is sent.
--
-- A delivery is claimed when the job's number is the one that is due and it is open. Those whose endpoint
-- or tenant accepts no work are held instead. An attempt that was cut off (the delivery is still
-- 'delivering') is marked abandoned. What is not returned is not to be sent.
--
-- Locks: the delivery rows, for this short transaction. Cost: one statement a table and batch.
-- Bounds on the ids are worked out first, because a partitioned table is planned with all its partitions
-- unless the statement itself says which ones can matter; force_custom_plan lets the planner see them.
create or replace function postrider.claim_many(delivery_ids uuid[], due_attempts int[], runner text)
returns table (
  delivery_id uuid, attempt_id uuid, attempt_number int, schedule_step int, abandoned_count int,
  tenant_id uuid, endpoint_id uuid, event_id uuid, event_type text, body text,
  url text, headers jsonb, timeout_seconds int, retry_schedule int[], secrets text[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  low uuid := (select min_id from postrider.id_range(delivery_ids));
  high uuid := (select max_id from postrider.id_range(delivery_ids));
  claimed postrider.claimed_delivery[];
  cut uuid[];
  events uuid[];
begin
  if not exists (select from postrider.runner r where r.id = claim_many.runner and r.reaped_at is null) then
    raise exception 'runner % is not registered or was found dead', runner using errcode = '55000';
  end if;

  with due as materialized (
    select d.id, d.claim, postrider.accepts_work(e, t) as accepted, e.deleted_at is not null as deleted
    from unnest(delivery_ids, due_attempts) as w (id, due)
    join postrider.delivery d on d.id = w.id and d.due_attempt = w.due
    join postrider.endpoint e on e.id = d.endpoint_id
    join postrider.tenant t on t.id = d.tenant_id
    where d.id between low and high and d.state in ('pending', 'delivering')
    for update of d
  ),
  taken as (
    update postrider.delivery d
    set state = case when due.accepted then 'delivering' when due.deleted then 'cancelled' else 'held' end,
      finished_at = case when due.deleted then now() end,
      claim = case when due.accepted then postrider.uuidv7() end,
      attempt_count = d.attempt_count + due.accepted::int,
      abandoned_count = d.abandoned_count + (due.claim is not null)::int
    from due
    where d.id = due.id and d.id between low and high
    returning d.id, d.claim, d.attempt_count, d.schedule_step, d.abandoned_count, d.tenant_id,
      d.endpoint_id, d.event_id, d.trigger, due.claim as cut
  )
  select array_agg(row(id, claim, attempt_count, schedule_step, abandoned_count, tenant_id, endpoint_id,
      event_id, trigger)::postrider.claimed_delivery) filter (where claim is not null),
    array_agg(taken.cut) filter (where taken.cut is not null),
    array_agg(taken.event_id)
  into claimed, cut, events
  from taken;

  if cut is not null then
    perform postrider.abandon(cut);
  end if;

  insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, runner)
  select c.attempt_id, c.tenant_id, c.delivery_id, c.endpoint_id, c.attempt_number, c.trigger, claim_many.runner
  from unnest(claimed) as c;

  low := (select min_id from postrider.id_range(events));
  high := (select max_id from postrider.id_range(events));
  return query
  select c.delivery_id, c.attempt_id, c.attempt_number, c.schedule_step, c.abandoned_count,
    c.tenant_id, c.endpoint_id, c.event_id, ev.type, postrider.body(ev.type, ev.occurred_at, ev.data),
    e.url, e.headers, e.timeout_seconds, e.retry_schedule,
    array(select s.encrypted from postrider.endpoint_secret s
          where s.endpoint_id = c.endpoint_id and (s.expires_at is null or s.expires_at > now())
          order by s.created_at desc)
  from unnest(claimed) as c
  join postrider.endpoint e on e.id = c.endpoint_id
  left join postrider.event ev on ev.id = c.event_id and ev.id between low and high;
end
$$;
comment on function postrider.claim_many(uuid[], int[], text) is
  'Claims deliveries for one attempt each (parallel arrays: delivery id, number in the job) and writes the attempts as started. Returns what is to be sent; body is null when the event is gone.';

-- finish_many (T2): write the outcomes of attempts, settle their deliveries, and add the next jobs.
--
-- Takes a JSON array of attempt results. Only the holder of delivery.claim settles the delivery; a late
-- one is recorded as stale and changes nothing else. Calling it again after a lost answer is harmless:
-- a finished attempt is left as it is.
--
-- next_in_seconds: when to try again, from now by this server's clock; null = not at all.
-- An attempt that was interrupted by a shutdown is repeated without using up the retry schedule.
create or replace function postrider.finish_many(results json)
returns table (attempt_id uuid, verdict text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  finished postrider.attempt_result[] := array(
    select row(r.*)::postrider.attempt_result
    from json_populate_recordset(null::postrider.attempt_result, results) as r);
  deliveries record;
  attempts record;
  settled postrider.settled_delivery[];
begin
  select * into deliveries from postrider.id_range(array(select f.delivery_id from unnest(finished) as f));
  select * into attempts from postrider.id_range(array(select f.attempt_id from unnest(finished) as f));

  with settled as (
    update postrider.delivery d
    set state = case
          when d.state = 'cancelled' then 'cancelled'
          when f.outcome = 'delivered' then 'delivered'
          when f.next_in_seconds is null then 'failed'
          when postrider.accepts_work(e, t) then 'pending'
          when e.deleted_at is not null then 'cancelled'
          else 'held' end,
      claim = null,
      due_attempt = d.attempt_count + 1,
      schedule_step = d.schedule_step + (f.outcome not in ('delivered', 'interrupted'))::int,
      abandoned_count = 0,
      trigger = case when f.next_in_seconds is null then d.trigger else 'schedule' end,
      next_attempt_at = case when d.state <> 'cancelled' and f.outcome <> 'delivered'
        then now() + make_interval(secs => f.next_in_seconds) end,
      finished_at = case
        when d.state = 'cancelled' then d.finished_at
        when f.outcome = 'delivered' or f.next_in_seconds is null or e.deleted_at is not null then now() end
    from unnest(finished) as f, postrider.endpoint e, postrider.tenant t
    where d.id = f.delivery_id and d.id between deliveries.min_id and deliveries.max_id
      and d.claim = f.attempt_id and e.id = d.endpoint_id and t.id = d.tenant_id
    returning d.id, f.attempt_id, d.state, d.due_attempt, d.next_attempt_at
  )
  select coalesce(array_agg(row(s.*)::postrider.settled_delivery), '{}') into settled from settled s;

  update postrider.attempt a
  set outcome = case when s.id is null then 'stale' else f.outcome end,
    status_code = f.status_code, error = f.error, duration_ms = f.duration_ms, dns_ms = f.dns_ms,
    connect_ms = f.connect_ms, tls_ms = f.tls_ms, first_byte_ms = f.first_byte_ms,
    request_headers = f.request_headers, response_headers = f.response_headers,
    response_body = f.response_body, finished_at = clock_timestamp()
  from unnest(finished) as f
  left join unnest(settled) as s on s.attempt_id = f.attempt_id
  where a.id = f.attempt_id and a.id between attempts.min_id and attempts.max_id
    and (a.outcome = 'started' or (a.outcome = 'abandoned' and s.id is null));

  perform postrider.enqueue(array_agg(s.id), array_agg(s.due_attempt), array_agg(s.next_attempt_at), 5)
  from unnest(settled) as s
  where s.state = 'pending'
  having count(*) > 0;

  return query
  select f.attempt_id, coalesce(s.state, case a.outcome when 'stale' then 'stale' else 'already' end)
  from unnest(finished) as f
  left join unnest(settled) as s on s.attempt_id = f.attempt_id
  left join postrider.attempt a
    on a.id = f.attempt_id and a.id between attempts.min_id and attempts.max_id;
end
$$;
comment on function postrider.finish_many(json) is
  'Writes attempt results and settles their deliveries. Verdict per attempt: the new state of the delivery; stale (another had taken over: throw, so that the job is not completed); already (finished before).';
