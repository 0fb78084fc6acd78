-- claim_many (T1): take deliveries for one attempt each, and write the attempts before anything is sent.
--
-- A delivery is claimed when the job's number is the newest (030_enqueue.sql) and it is open. Those whose endpoint
-- accepts no work are held instead, but for the probe of an open circuit, and tests. An attempt that was cut off (the
-- delivery is still 'delivering') is marked abandoned; after three in a row the delivery is postponed, so
-- that a payload which kills a runner cannot take one after another. What is not returned is not to be sent.
--
-- Locks: the delivery rows, for this short transaction. Cost: one statement a table and batch.
--
-- Planned once a session (force_generic_plan): planning anew took longer than the claim itself, 1 ms a batch.
-- A plan for every batch has all partitions in it. The bounds on the ids let the executor leave out those
-- that cannot matter before it opens them, and `= any (ids)` makes each of the others an index probe an id:
-- by the bounds alone, a batch with one old delivery in it would read all that lies between.
-- Dropped first, since what it returns has changed; grants are given anew in 900_tenant_isolation.sql.
drop function if exists postrider.claim_many(uuid[], int[], text);
create function postrider.claim_many(delivery_ids uuid[], due_attempts int[], runner text)
returns table (
  delivery_id uuid, attempt_id uuid, attempt_number int, schedule_step int, abandoned_count int,
  tenant_id uuid, endpoint_id uuid, event_id uuid, event_type text, body text, waited_ms float8,
  url text, headers jsonb, timeout_seconds int, retry_schedule int[], secrets text[],
  client_certificate text, client_key_encrypted text, traceparent text, tracestate text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  sorted uuid[] := (select array_agg(id order by id) from unnest(delivery_ids) as id);
  low uuid := sorted[1];
  high uuid := sorted[cardinality(sorted)];
  claimed postrider.claimed_delivery[];
  paused boolean := postrider.is_paused();
  cut uuid[];
  postponed uuid[];
  held uuid[];
  held_endpoints uuid[];
  events uuid[];
begin
  perform postrider.refuse_unless_living(runner);

  with taken as (
    update postrider.delivery d
    set state = postrider.claim_verdict(d, e, t, c, paused),
      finished_at = case when e.deleted_at is not null then now() end,
      next_attempt_at = case when e.deleted_at is null then d.next_attempt_at end,
      claim = case when postrider.claim_verdict(d, e, t, c, paused) = 'delivering' then postrider.uuidv7() end,
      attempt_count = d.attempt_count + (postrider.claim_verdict(d, e, t, c, paused) = 'delivering')::int,
      abandoned_count = d.abandoned_count + (d.claim is not null)::int
    from unnest(delivery_ids, due_attempts) as w (id, due), postrider.tenant t, postrider.endpoint e
    left join postrider.circuit c on c.endpoint_id = e.id
    where d.id = any (delivery_ids) and d.id between low and high and d.id = w.id and d.due_attempt = w.due
      and d.state in ('pending', 'delivering') and e.id = d.endpoint_id and t.id = d.tenant_id
    returning d.id, d.claim, d.attempt_count, d.schedule_step, d.abandoned_count, d.tenant_id,
      d.endpoint_id, d.event_id, d.trigger, d.state
  )
  select
    array_agg(row(id, claim, attempt_count, schedule_step, abandoned_count, tenant_id, endpoint_id,
      event_id, trigger)::postrider.claimed_delivery) filter (where state = 'delivering'),
    array_agg(id) filter (where abandoned_count > 0),
    array_agg(id) filter (where state = 'pending'),
    array_agg(id) filter (where state = 'held'),
    array_agg(endpoint_id) filter (where state = 'held'),
    array_agg(event_id order by event_id)
  into claimed, cut, postponed, held, held_endpoints, events
  from taken;

  if cut is not null then
    perform postrider.abandon_cut(cut);
  end if;
  if held is not null then
    perform postrider.replace_probe(held_endpoints, held);
  end if;
  if postponed is not null then
    perform postrider.postpone_poison(postponed);
  end if;

  insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, runner)
  select c.attempt_id, c.tenant_id, c.delivery_id, c.endpoint_id, c.attempt_number, c.trigger, claim_many.runner
  from unnest(claimed) as c;

  low := events[1];
  high := events[cardinality(events)];
  return query
  select c.delivery_id, c.attempt_id, c.attempt_number, c.schedule_step, c.abandoned_count,
    c.tenant_id, c.endpoint_id, c.event_id, ev.type, postrider.body(ev.type, ev.occurred_at, ev.data),
    extract(epoch from clock_timestamp() - greatest(ev.created_at, ev.deliver_at))::float8 * 1000,
    e.url, e.headers, e.timeout_seconds, e.retry_schedule,
    array(select s.encrypted from postrider.endpoint_secret s
          where s.endpoint_id = c.endpoint_id and (s.expires_at is null or s.expires_at > now())
          order by s.created_at desc),
    e.client_certificate, e.client_key_encrypted, ev.traceparent, ev.tracestate
  from unnest(claimed) as c
  join postrider.endpoint e on e.id = c.endpoint_id
  left join postrider.event ev
    on ev.id = any (events) and ev.id between low and high and ev.id = c.event_id;
end
$$;
comment on function postrider.claim_many(uuid[], int[], text) is
  'Claims deliveries for one attempt each (parallel arrays: delivery id, number in the job) and writes the attempts as started. Returns what is to be sent; body is null when the event is gone.';

-- postpone_poison: put off deliveries whose claims were abandoned three times in a row or more: 10 minutes,
-- doubling with each further one, a day at most. delivery.abandoned_count marks them.
create or replace function postrider.postpone_poison(delivery_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  queued record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  with postponed as (
    update postrider.delivery d
    set due_attempt = d.due_attempt + 1,
      put_off_until = null,
      next_attempt_at = now() + least(interval '1 day',
        interval '10 minutes' * power(2, least(d.abandoned_count - 3, 10)))
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id
    returning d.id, d.due_attempt, d.next_attempt_at, d.endpoint_id, d.trigger
  )
  select array_agg(endpoint_id) as endpoints, postrider.enqueue(
    array_agg(id), array_agg(due_attempt), array_agg(next_attempt_at), array_agg(endpoint_id), array_agg(trigger))
  into queued
  from postponed;
  perform postrider.replace_probe(queued.endpoints, delivery_ids);
end
$$;
comment on function postrider.postpone_poison(uuid[]) is
  'Puts off deliveries that were abandoned three times in a row or more, so that they cannot take one runner after another.';

create or replace function postrider.claim_verdict(
  delivery postrider.delivery, endpoint postrider.endpoint, tenant postrider.tenant,
  circuit postrider.circuit, paused boolean
) returns text
language sql immutable parallel safe
return case
  when endpoint.deleted_at is not null then 'cancelled'
  when paused or not postrider.accepts_work(endpoint, tenant) then 'held'
  when circuit.opened_at is not null and circuit.probe_delivery_id is distinct from delivery.id
    and delivery.trigger <> 'test' then 'held'
  when delivery.claim is not null and delivery.abandoned_count + 1 >= 3 then 'pending'
  else 'delivering' end;
comment on function postrider.claim_verdict(postrider.delivery, postrider.endpoint, postrider.tenant, postrider.circuit, boolean) is
  'The state that a delivery gets when it is claimed.';

-- Their attempts that are still started are those that were cut off: the new ones are not written yet.
create or replace function postrider.abandon_cut(delivery_ids uuid[]) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  floor uuid := postrider.id_floor((select min_id from postrider.id_range(delivery_ids)));
begin
  return postrider.abandon(array(
    select a.id from postrider.attempt a
    where a.delivery_id = any (delivery_ids) and a.id >= floor and a.outcome = 'started'));
end
$$;
comment on function postrider.abandon_cut(uuid[]) is
  'Marks the attempts of these deliveries that were cut off as abandoned; returns how many.';
