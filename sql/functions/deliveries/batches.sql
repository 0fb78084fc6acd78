-- Batches: the deliveries of an endpoint with `batch_bounds` go together in one request.
--
-- Each delivery has its job, as any other, and wakes a runner when it is due. What the runner has in its hand it brings here
-- (take_batch): together with those that wait already they are either enough for a request, or they are put off, in the batch
-- that is being filled, until the first of them has waited for maxWaitMs. So nobody else counts, and whatever happens to one of
-- them (held, cancelled, its job lost) is dealt with as for any delivery.
--
--   being filled   batch_room.batch_id. Its deliveries are pending, with a job at batch_room.due each.
--                  Where the endpoint gets other bounds by which it would be due at another moment, or full, they leave it
--                  and begin another (refill_batch).
--   full           what is enough: maxEvents, maxBytes, or maxWaitMs over. Claimed at once, or put off as a whole where a limit
--                  of the endpoint says so; from then on batch_room does not name it any more, and nobody joins it.
--   sent           delivery.batch_id of its deliveries, and the row in batch, stay for the next attempt. Whichever of their jobs comes first takes all.
--                  Once all have ended, nothing is left of it but attempt.batch_id.
--
-- One job for a batch would save little: with 5,000 deliveries in batches of 100, of the time of the statements that delivered them
-- the fetches of their jobs were 8 %, their removal 2 %, and what kept the backlog to its share of the queue 10 % (one run, on a
-- busy machine). And it would be a second way for all that the job of a delivery is there for: holding and releasing, retries by
-- a person, lines, lost runners, and the check for open deliveries without a job.
--
-- Each event has the standard shape in it: the API refuses others next to batches.
--
-- The id of a batch is the webhook-id of its requests. A batch may lose deliveries (cancelled, or opened again by a
-- person) and never gets others, so who has taken it once may take no notice of a repeat.
--
-- Alone, as a batch of one: tests, and what a person retries. Not waited for: what others wait for in the line of an ordering key (hurry_batch),
-- and everything while the endpoint accepts no work, since its claim says what becomes of it. With an order a batch has one
-- event of a key at most: the next has its turn when the batch has ended.
--
-- While a batch is sent the lead keeps its job, locked by the runner; the jobs of the others are removed. Should the runner
-- be lost, the lead is fetched by another one, which takes all of them. A lead that was cancelled meanwhile leaves the
-- others to reconcile().
--
-- Locks: batch_room of the endpoint first, so that runners take turns, for a short transaction; then the deliveries.
-- Cost: some statements a batch, planned once a session (see deliveries/delivery_state.sql). Where nothing is taken, a row and a job
-- for each that is put off.

create or replace function postrider.orders_batches(endpoint postrider.endpoint) returns boolean
language sql immutable parallel safe
return endpoint.batch_bounds is not null and endpoint.ordering = 'key' and endpoint.collapse_ms is null;
comment on function postrider.orders_batches(postrider.endpoint) is
  'Whether an event that later ones of its key wait for does not wait for its batch to be full.';

create or replace function postrider.lock_batch_room(endpoint uuid) returns postrider.batch_room
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  room postrider.batch_room;
begin
  select * into room from postrider.batch_room r where r.endpoint_id = endpoint for update;
  if not found then
    insert into postrider.batch_room (endpoint_id, tenant_id)
    select e.id, e.tenant_id from postrider.endpoint e where e.id = endpoint
    on conflict do nothing;
    select * into room from postrider.batch_room r where r.endpoint_id = endpoint for update;
  end if;
  return room;
end
$$;
comment on function postrider.lock_batch_room(uuid) is
  'The batch that is being filled for an endpoint, locked until the end of the transaction; null where the endpoint is gone.';

create or replace function postrider.woken_for_batch(endpoint uuid, delivery_ids uuid[], due_attempts int[])
returns postrider.delivery[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  sorted uuid[] := (select array_agg(id order by id) from unnest(delivery_ids) as id);
  low uuid := sorted[1];
  high uuid := sorted[cardinality(sorted)];
begin
  return array(
    select d
    from unnest(delivery_ids, due_attempts) with ordinality as w (id, due, nth)
    join postrider.delivery d
      on d.id = any (delivery_ids) and d.id between low and high and d.id = w.id and d.due_attempt = w.due
    where d.endpoint_id = endpoint and d.state in ('pending', 'delivering')
    order by w.nth);
end
$$;
comment on function postrider.woken_for_batch(uuid, uuid[], int[]) is
  'Those of the deliveries (parallel arrays: delivery id, number in the job) whose job has the newest number, in this order.';

-- fitting_batch: as many as fit into what is left, the oldest first. The first of an empty batch always does.
--
-- 45 bytes more than the body of the event alone: its id, and the comma before the next. 12 around them all.
create or replace function postrider.fitting_batch(
  room postrider.batch_room, arrived postrider.delivery[], max_events int, max_bytes int,
  out ids uuid[], out bytes bigint, out is_full boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  events uuid[] := array(select a.event_id from unnest(arrived) as a order by 1);
  low uuid := events[1];
  high uuid := events[cardinality(events)];
begin
  with sized as (
    select a.id, coalesce(postrider.body_length(ev.type, ev.data), 0) + 45 as bytes
    from unnest(arrived) as a
    left join postrider.event ev on ev.id = any (events) and ev.id between low and high and ev.id = a.event_id
  ),
  summed as (
    select s.id, room.events + row_number() over (order by s.id) as nth,
      12 + room.bytes + sum(s.bytes) over (order by s.id) as total
    from sized s
  ),
  judged as (
    select s.*, s.nth = 1 or (s.nth <= max_events and s.total <= max_bytes) as fits from summed s
  )
  select coalesce(array_agg(j.id order by j.id) filter (where j.fits), '{}'),
    coalesce(max(j.total) filter (where j.fits), 12 + room.bytes) - 12,
    coalesce(bool_or(not j.fits or j.nth >= max_events or j.total >= max_bytes), false)
  into ids, bytes, is_full
  from judged j;
end
$$;
comment on function postrider.fitting_batch(postrider.batch_room, postrider.delivery[], int, int) is
  'Which of the deliveries that have arrived fit into the batch that is being filled, how many bytes it has with them, and whether it is full then.';

-- take_batch: the next batch of an endpoint, out of what a runner has in its hand (parallel arrays: delivery id, number in the job).
--
-- One call is about one batch: that of the first in hand, or the one that is being filled. step says what becomes of it when it is
-- full: look (nothing: it is only told), put_off (for wait_ms, with a slot if the rate of the endpoint gave one) or claim.
-- When it is not, they are put off until it is due, whatever the step.
--
-- Verdicts: claimed (in the order of the request; what they share is with the first), left (in hand, and not of this
-- batch: to be brought again), filling (not full: waited_ms until it is due), ready (look found it full), single (the endpoint has no batches any more). Of those in hand that
-- are not named nothing is left to do: they were late, are put off, or are held.
create or replace function postrider.take_batch(
  endpoint uuid, delivery_ids uuid[], due_attempts int[], runner text, step text,
  wait_ms float8 default 0, reservation json default null
) returns table (
  verdict text, delivery_id uuid, batch_id uuid, attempt_id uuid, attempt_number int, schedule_step int, abandoned_count int,
  tenant_id uuid, endpoint_id uuid, event_id uuid, event_type text, body text, waited_ms float8,
  url text, headers jsonb, timeout_seconds int, retry_schedule int[], secrets text[],
  client_certificate text, client_key_encrypted text, traceparent text, tracestate text, secret_headers jsonb,
  signature_headers jsonb, webhook_signature text, lead_id uuid, removed_jobs bigint[])
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  room postrider.batch_room;
  woken postrider.delivery[];
  chosen record;
  lead uuid;
begin
  if step = 'claim' then
    perform postrider.make_commit_durable();
  end if;
  perform postrider.refuse_unless_living(runner);
  room := postrider.lock_batch_room(endpoint);
  woken := postrider.woken_for_batch(endpoint, delivery_ids, due_attempts);
  if room.endpoint_id is null or cardinality(woken) = 0 then
    return;
  end if;
  select * into chosen from postrider.choose_batch(room, woken) as c;
  if chosen.step = 'fill' then
    perform postrider.fill_batch(room, array(select w from unnest(woken) as w where w.id = any (chosen.members)),
      chosen.bytes, chosen.due);
    return query
    select 'filling', null::uuid, null::uuid, null::uuid, 0, 0, 0, null::uuid, endpoint, null::uuid, null, null,
      greatest(extract(epoch from chosen.due - clock_timestamp()), 0)::float8 * 1000,
      null, null::jsonb, null::int, null::int[], null::text[], null, null, null, null, null::jsonb, null::jsonb, null, null::uuid, null::bigint[];
  elsif chosen.step = 'full' and take_batch.step = 'put_off' then
    perform postrider.empty_batch_room(room, chosen.batch);
    perform postrider.put_off_batch(endpoint, chosen.members, chosen.batch, wait_ms, reservation);
  elsif chosen.step = 'full' and take_batch.step = 'claim' then
    -- None, where what waits already is full without those in hand.
    lead := (select w.id from unnest(woken) with ordinality as w where w.id = any (chosen.members) order by w.ordinality limit 1);
    perform postrider.empty_batch_room(room, chosen.batch);
    return query
    select 'claimed', c.*
    from postrider.claim_batch(endpoint, chosen.members, lead, chosen.batch, runner) as c;
  end if;

  return query
  select case
      when chosen.step = 'single' then 'single'
      when w.id = woken[1].id and chosen.step = 'full' and take_batch.step = 'look' then 'ready'
      else 'left' end,
    w.id, null::uuid, null::uuid, 0, 0, 0, w.tenant_id, w.endpoint_id, w.event_id, null, null, null::float8,
    null, null::jsonb, null::int, null::int[], null::text[], null, null, null, null, null::jsonb, null::jsonb, null, null::uuid, null::bigint[]
  from unnest(woken) as w
  where take_batch.step = 'look' and chosen.step <> 'fill' or w.id <> all (chosen.members);
end
$$;
comment on function postrider.take_batch(uuid, uuid[], int[], text, text, float8, json) is
  'Looks at, puts off or claims the next batch of an endpoint, out of the deliveries whose jobs a runner has (parallel arrays: delivery id, number in the job). Rows by verdict: claimed, left, filling, ready, single.';

-- choose_batch: which deliveries the next request has, and whether it is time for it.
--
-- step: full, fill (not yet), single (no batches any more).
create or replace function postrider.choose_batch(
  room postrider.batch_room, woken postrider.delivery[],
  out step text, out batch uuid, out members uuid[], out bytes bigint, out due timestamptz
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  settings record;
  fresh postrider.delivery[];
  fitting record;
begin
  select (e.batch_bounds ->> 'maxEvents')::int as max_events, (e.batch_bounds ->> 'maxBytes')::int as max_bytes,
    make_interval(secs => (e.batch_bounds ->> 'maxWaitMs')::float8 / 1000) as max_wait,
    e.batch_bounds is null and e.deleted_at is null as is_single,
    e.deleted_at is not null or postrider.held_for(e, t, c, postrider.is_paused()) is not null as is_held,
    postrider.orders_batches(e) as is_ordered
  into settings
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  left join postrider.circuit c on c.endpoint_id = e.id
  where e.id = room.endpoint_id;

  members := '{}';
  step := 'full';
  if settings.is_single is not false then
    step := 'single';
  elsif woken[1].batch_id is not null and woken[1].batch_id is distinct from room.batch_id then
    batch := woken[1].batch_id;
    members := array(
      select id from unnest(postrider.members_of_batch(batch)) as id
      union select w.id from unnest(woken) as w where w.batch_id = batch);
  elsif woken[1].trigger in ('manual', 'test') then
    batch := postrider.uuidv7();
    members := array[woken[1].id];
  else
    fresh := array(
      select w from unnest(woken) as w where w.batch_id is null and w.trigger not in ('manual', 'test')
      order by w.id limit coalesce(settings.max_events, 1) + 1);
    select * into fitting from postrider.fitting_batch(
      room, fresh, coalesce(settings.max_events, 1), coalesce(settings.max_bytes, 1)) as f;
    batch := coalesce(room.batch_id, postrider.uuidv7());
    bytes := fitting.bytes;
    due := least(room.due, (select min(f.next_attempt_at) from unnest(fresh) as f) + settings.max_wait);
    if fitting.is_full or due <= clock_timestamp() or settings.is_held
      or (settings.is_ordered and postrider.is_waited_for(array(
        select w from unnest(woken) as w where w.batch_id = room.batch_id or w.id = any (fitting.ids))))
    then
      members := postrider.members_of_batch(room.batch_id) || fitting.ids;
    else
      step := 'fill';
      members := fitting.ids || array(select w.id from unnest(woken) as w where w.batch_id = room.batch_id);
    end if;
  end if;
end
$$;
comment on function postrider.choose_batch(postrider.batch_room, postrider.delivery[]) is
  'What is to be done with the deliveries that a runner has in its hand, the first of which says which batch it is about: full, with the ones that go together; fill, with the ones that wait in the batch that is being filled, its bytes with them, and when it is due; single.';

create or replace function postrider.members_of_batch(batch uuid) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  ids uuid[] := (select array(select id from unnest(b.delivery_ids) as id order by 1) from postrider.batch b where b.id = batch);
  low uuid := ids[1];
  high uuid := ids[cardinality(ids)];
begin
  return array(
    select d.id from postrider.delivery d
    where d.id = any (ids) and d.id between low and high and d.batch_id = batch and d.finished_at is null
    order by d.id);
end
$$;
comment on function postrider.members_of_batch(uuid) is 'The open deliveries of a batch.';

create or replace function postrider.keep_batch(batch uuid, endpoint uuid, members uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  insert into postrider.batch as b (id, tenant_id, endpoint_id, delivery_ids)
  select keep_batch.batch, e.tenant_id, e.id, members from postrider.endpoint e where e.id = keep_batch.endpoint
  on conflict (id) do update set delivery_ids = excluded.delivery_ids;
end
$$;
comment on function postrider.keep_batch(uuid, uuid, uuid[]) is 'Writes down which deliveries belong to a batch.';

-- end_batch: once its attempts are written down. What is tried again is in this batch or in others, such as halves.
--
-- Most of the time all have ended at once, and then their rows are not looked at again.
create or replace function postrider.end_batch(
  batch uuid, finished postrider.attempt_result[], settled_attempts uuid[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  kept postrider.batch;
  gone uuid[];
begin
  select * into kept from postrider.batch b where b.id = end_batch.batch;
  perform postrider.keep_batch(f.batch_id, kept.endpoint_id, array_agg(f.delivery_id))
  from unnest(finished) as f where f.batch_id <> end_batch.batch group by f.batch_id;
  gone := array(
    select f.delivery_id from unnest(finished) as f
    join unnest(settled_attempts) as s (id) on s.id = f.attempt_id
    where f.batch_id is distinct from end_batch.batch);
  if not exists (select unnest(kept.delivery_ids) except select unnest(gone))
    or cardinality(postrider.members_of_batch(end_batch.batch)) = 0
  then
    delete from postrider.batch b where b.id = end_batch.batch;
  end if;
end
$$;
comment on function postrider.end_batch(uuid, postrider.attempt_result[], uuid[]) is
  'Deletes a batch whose deliveries have ended, and records the ones in which some are retried.';

create or replace function postrider.is_waited_for(deliveries postrider.delivery[]) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  return exists (
    select from unnest(deliveries) as d
    join postrider.ordering_place p on p.endpoint_id = d.endpoint_id and p.ordering_key = d.ordering_key);
end
$$;
comment on function postrider.is_waited_for(postrider.delivery[]) is
  'Whether another delivery waits for one of these in the line of its ordering key.';

-- hurry_batch: who waits in the batch that is being filled is waited for since then. A publish leaves this to an advance job, so
-- that runners never wait for producers. Who takes a batch after the lock of the room was given back sees who waits; who is taking
-- one at this moment is waited for.
create or replace function postrider.hurry_batch(tenant uuid, endpoint uuid, ordering_key text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  room postrider.batch_room;
  head postrider.delivery;
begin
  perform from postrider.endpoint e where e.id = endpoint and postrider.orders_batches(e);
  if not found then
    return;
  end if;
  -- Also where no batch is being filled yet: somebody may be about to begin one.
  room := postrider.lock_batch_room(endpoint);
  select d.* into head
  from postrider.ordering_line l
  cross join lateral (select * from postrider.delivery d where d.id = l.delivery_id limit 1) as d
  where l.tenant_id = tenant and l.ordering_key = hurry_batch.ordering_key and l.endpoint_id = endpoint
    and d.batch_id = room.batch_id and d.put_off_until > now();
  if postrider.is_waited_for(array[head]) then
    perform postrider.snooze_deliveries(array[head.id], array[head.due_attempt], array[clock_timestamp()],
      array[null::json], in_hand => array[false]);
  end if;
end
$$;
comment on function postrider.hurry_batch(uuid, uuid, text) is
  'Has the batch that is being filled be sent, where another delivery waits for one of its in the line of this key.';

create or replace function postrider.empty_batch_room(room postrider.batch_room, batch uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  if room.batch_id = batch then
    update postrider.batch_room r set batch_id = null, events = 0, bytes = 0, due = null
    where r.endpoint_id = room.endpoint_id;
  end if;
end
$$;
comment on function postrider.empty_batch_room(postrider.batch_room, uuid) is
  'The batch is full: what arrives later begins another one.';

-- Those that are in it already, and came early, are put off again.
create or replace function postrider.fill_batch(
  room postrider.batch_room, waiting postrider.delivery[], bytes bigint, due timestamptz
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  batch uuid := coalesce(room.batch_id, postrider.uuidv7());
begin
  update postrider.batch_room r
  set batch_id = batch, bytes = fill_batch.bytes, due = fill_batch.due,
    events = room.events + (select count(*) from unnest(waiting) as w where w.batch_id is null)
  where r.endpoint_id = room.endpoint_id;
  perform postrider.keep_batch(batch, room.endpoint_id,
    postrider.members_of_batch(batch) || array(select w.id from unnest(waiting) as w where w.batch_id is null));
  perform postrider.snooze_deliveries(array_agg(w.id), array_agg(w.due_attempt), array_agg(fill_batch.due),
    array_agg(null::json), batch)
  from unnest(waiting) as w;
end
$$;
comment on function postrider.fill_batch(postrider.batch_room, postrider.delivery[], bigint, timestamptz) is
  'Adds deliveries to the batch that is being filled, and puts them off until it is due.';

create or replace function postrider.fits_bounds(room postrider.batch_room) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  first_due timestamptz := (
    select min(d.next_attempt_at) from postrider.delivery d where d.id = any (postrider.members_of_batch(room.batch_id)));
begin
  return exists (
    select from postrider.endpoint e
    where e.id = room.endpoint_id and e.batch_bounds is not null
      and room.events < (e.batch_bounds ->> 'maxEvents')::int and 12 + room.bytes < (e.batch_bounds ->> 'maxBytes')::int
      and room.due = first_due + make_interval(secs => (e.batch_bounds ->> 'maxWaitMs')::float8 / 1000));
end
$$;
comment on function postrider.fits_bounds(postrider.batch_room) is
  'Whether the batch that is being filled is due, and not full, by the bounds that its endpoint has now.';

-- refill_batch: its id was never sent, so that it can be given up. One that a runner is sending, as its endpoint had no batches
-- for a moment, stays as it is.
create or replace function postrider.refill_batch(endpoint uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  room postrider.batch_room;
  waiting postrider.delivery[];
begin
  select * into room from postrider.batch_room r where r.endpoint_id = refill_batch.endpoint for update;
  if room.batch_id is null or postrider.fits_bounds(room) then
    return;
  end if;
  waiting := array(
    select d from postrider.delivery d
    where d.id = any (postrider.members_of_batch(room.batch_id)) order by d.id for update skip locked);
  perform postrider.empty_batch_room(room, room.batch_id);
  perform postrider.leave_batch(array(select w.id from unnest(waiting) as w));
  -- Between two of them a microsecond, so that the older stays before the newer.
  perform postrider.snooze_deliveries(array_agg(w.id), array_agg(w.due_attempt),
    array_agg(clock_timestamp() + w.ordinality * interval '1 microsecond'), array_agg(null::json),
    in_hand => array_agg(false))
  from unnest(waiting) with ordinality as w having count(*) > 0;
  delete from postrider.batch b
  where b.id = room.batch_id and cardinality(postrider.members_of_batch(room.batch_id)) = 0;
end
$$;
comment on function postrider.refill_batch(uuid) is
  'Has what waits in the batch that is being filled be sent by the bounds that the endpoint has now, where those differ from before: in other batches, or alone.';

create or replace function postrider.put_off_batch(
  endpoint uuid, members uuid[], batch uuid, wait_ms float8, reservation json
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  low uuid := (select min_id from postrider.id_range(members));
  high uuid := (select max_id from postrider.id_range(members));
  until timestamptz := clock_timestamp() + make_interval(secs => wait_ms / 1000);
begin
  perform postrider.snooze_deliveries(array_agg(d.id), array_agg(d.due_attempt), array_agg(until),
    array_agg(reservation), batch)
  from postrider.delivery d
  where d.id = any (members) and d.id between low and high and d.state in ('pending', 'delivering')
  having count(*) > 0;
  perform postrider.keep_batch(batch, put_off_batch.endpoint, members);
end
$$;
comment on function postrider.put_off_batch(uuid, uuid[], uuid, float8, json) is
  'Puts off a batch as a whole by so many milliseconds: whichever of its jobs comes first then takes all.';

-- claim_batch: T1 of a batch, as claim_many() is of single deliveries. What all members share is told with the first.
create or replace function postrider.claim_batch(endpoint uuid, members uuid[], lead uuid, batch uuid, runner text)
returns table (
  delivery_id uuid, batch_id uuid, attempt_id uuid, attempt_number int, schedule_step int, abandoned_count int,
  tenant_id uuid, endpoint_id uuid, event_id uuid, event_type text, body text, waited_ms float8,
  url text, headers jsonb, timeout_seconds int, retry_schedule int[], secrets text[],
  client_certificate text, client_key_encrypted text, traceparent text, tracestate text, secret_headers jsonb,
  signature_headers jsonb, webhook_signature text, lead_id uuid, removed_jobs bigint[])
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  taken record;
  removed bigint[];
  events uuid[];
  low uuid;
  high uuid;
begin
  select array_agg(t.id) as ids, array_agg(t.id) filter (where t.id is distinct from lead) as others,
    array_agg(t.id) filter (where t.state = 'delivering') as claimed,
    array_agg(t.claim) filter (where t.state = 'delivering') as claims,
    array_agg(t.attempt_count) filter (where t.state = 'delivering') as numbers,
    array_agg(t.schedule_step) filter (where t.state = 'delivering') as steps,
    array_agg(t.abandoned_count) filter (where t.state = 'delivering') as abandoned,
    array_agg(t.event_id) filter (where t.state = 'delivering') as events,
    array_agg(t.trigger) filter (where t.state = 'delivering') as triggers,
    array_agg(t.id) filter (where t.state <> 'delivering') as unclaimed,
    array_agg(t.id) filter (where t.abandoned_count > 0) as cut,
    array_agg(t.id) filter (where t.state = 'held') as held,
    array_agg(t.id) filter (where t.state = 'pending') as postponed
  into taken
  from (
    select * from postrider.claim_batch_deliveries(claim_batch.endpoint, members, lead, batch) as d order by d.id
  ) as t;
  if taken.ids is null then
    return;
  end if;
  with removed as (
    delete from graphile_worker._private_jobs j
    where j.key = any (array(select 'd:' || id from unnest(taken.others) as id))
    returning j.id
  )
  select array_agg(r.id) into removed from removed r;
  if taken.claimed is not null and taken.unclaimed is not null then
    perform postrider.leave_batch(taken.unclaimed);
  end if;
  perform postrider.end_unclaimed(array[claim_batch.endpoint], taken.cut, taken.held, taken.postponed);
  perform postrider.keep_batch(batch, claim_batch.endpoint, taken.ids);

  insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, runner, batch_id)
  select c.claim, e.tenant_id, c.id, e.id, c.number, c.trigger, claim_batch.runner, claim_batch.batch
  from postrider.endpoint e,
    unnest(taken.claimed, taken.claims, taken.numbers, taken.triggers) as c (id, claim, number, trigger)
  where e.id = claim_batch.endpoint;

  events := array(select id from unnest(taken.events) as id order by 1);
  low := events[1];
  high := events[cardinality(events)];
  return query
  select c.id, claim_batch.batch, c.claim, c.number, c.step, c.abandoned,
    e.tenant_id, claim_batch.endpoint, c.event_id, ev.type, postrider.body(ev.type, ev.occurred_at, ev.data),
    extract(epoch from clock_timestamp() - greatest(ev.created_at, ev.deliver_at))::float8 * 1000,
    e.url, e.headers, e.timeout_seconds, e.retry_schedule,
    case when e.id is not null then array(
      select s.encrypted from postrider.endpoint_secret s
      where s.endpoint_id = e.id and (s.expires_at is null or s.expires_at > now())
      order by s.created_at desc) end,
    e.client_certificate, e.client_key_encrypted, ev.traceparent, ev.tracestate, e.secret_headers,
    e.signature_headers, e.webhook_signature, lead, case when c.nth = 1 then removed end
  from unnest(taken.claimed, taken.claims, taken.numbers, taken.steps, taken.abandoned, taken.events)
    with ordinality as c (id, claim, number, step, abandoned, event_id, nth)
  left join postrider.endpoint e on e.id = endpoint and c.nth = 1
  left join postrider.event ev
    on ev.id = any (events) and ev.id between low and high and ev.id = c.event_id
  order by c.nth;
end
$$;
comment on function postrider.claim_batch(uuid, uuid[], uuid, uuid, text) is
  'Claims the members of a batch, removes their jobs but that of the lead (null = none), and writes the attempts as started. Returns what is to be sent, in the order of the request, with the lead, and in the first row the ids of the removed jobs.';
