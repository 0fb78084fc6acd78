-- claim_many (T1): take deliveries for one attempt each, and write the attempts before anything is sent.
--
-- A delivery is claimed when the job's number is the newest (queue/enqueue.sql) and it is open. Those whose endpoint
-- accepts no work are held instead, but for the probe of an open circuit, and tests. An attempt that was cut off (the
-- delivery is still 'delivering') is marked abandoned; after three in a row the delivery is postponed, so
-- that a payload which kills a runner cannot take one after another. What is not returned is not to be sent. From a copy
-- that nobody has adopted (service/copies.sql) nothing is claimed. In place of one that a newer event replaces that one is
-- claimed, and returned: woken_id says for which job.
--
-- Those whose endpoint has batches are not claimed, and said to be so: take_batch() takes them (deliveries/batches.sql).
--
-- Locks: the delivery rows, for this short transaction. Cost: one statement a table and batch. Planned once a session,
-- with bounds and `= any (ids)`: see deliveries/delivery_state.sql.
create or replace function postrider.claim_many(delivery_ids uuid[], due_attempts int[], runner text)
returns table (
  delivery_id uuid, attempt_id uuid, attempt_number int, schedule_step int, abandoned_count int,
  tenant_id uuid, endpoint_id uuid, event_id uuid, event_type text, body text, waited_ms float8,
  url text, headers jsonb, timeout_seconds int, retry_schedule int[], secrets text[],
  client_certificate text, client_key_encrypted text, traceparent text, tracestate text,
  secret_headers jsonb, woken_id uuid, shape text, shape_headers jsonb, signature_headers jsonb, webhook_signature text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  low uuid;
  high uuid;
  claimed postrider.claimed_delivery[];
  taken int;
  cut uuid[];
  postponed uuid[];
  held uuid[];
  held_endpoints uuid[];
  yielding uuid[];
  events uuid[];
begin
  perform postrider.make_commit_durable();
  perform postrider.refuse_unless_living(runner);

  select
    array_agg(row(t.id, t.claim, t.attempt_count, t.schedule_step, t.abandoned_count, t.tenant_id, t.endpoint_id,
      t.event_id, t.trigger, t.id)::postrider.claimed_delivery) filter (where t.state = 'delivering'),
    array_agg(t.id) filter (where t.abandoned_count > 0),
    array_agg(t.id) filter (where t.state = 'pending'),
    array_agg(t.id) filter (where t.state = 'held'),
    array_agg(t.endpoint_id) filter (where t.state = 'held'),
    array_agg(t.id) filter (where t.held_reason = 'order'),
    array_agg(t.event_id order by t.event_id),
    count(*)
  into claimed, cut, postponed, held, held_endpoints, yielding, events, taken
  from postrider.claim_deliveries(delivery_ids, due_attempts) as t;

  if yielding is not null then
    claimed := claimed || array(select c from postrider.claim_newest(yielding) as c);
    events := array(select c.event_id from unnest(claimed) as c order by c.event_id);
  end if;
  if cut is not null or held is not null or postponed is not null then
    perform postrider.end_unclaimed(held_endpoints, cut, held, postponed);
  end if;

  insert into postrider.attempt (id, tenant_id, delivery_id, endpoint_id, number, trigger, runner)
  select c.attempt_id, c.tenant_id, c.delivery_id, c.endpoint_id, c.attempt_number, c.trigger, claim_many.runner
  from unnest(claimed) as c;

  low := events[1];
  high := events[cardinality(events)];
  return query
  select c.delivery_id, c.attempt_id, c.attempt_number, c.schedule_step, c.abandoned_count,
    c.tenant_id, c.endpoint_id, c.event_id, ev.type, postrider.shaped_body(e, ev.id, ev.type, ev.occurred_at, ev.data, ev.as_svix),
    extract(epoch from clock_timestamp() - greatest(ev.created_at, ev.deliver_at))::float8 * 1000,
    e.url, e.headers, e.timeout_seconds, e.retry_schedule,
    array(select s.encrypted from postrider.endpoint_secret s
          where s.endpoint_id = c.endpoint_id and (s.expires_at is null or s.expires_at > now())
          order by s.created_at desc),
    e.client_certificate, e.client_key_encrypted, ev.traceparent, ev.tracestate, e.secret_headers,
    c.woken_id, postrider.shape_for(e, ev.as_svix), postrider.shape_headers(e, ev.id, ev.type, ev.occurred_at), e.signature_headers,
    e.webhook_signature
  from unnest(claimed) as c
  join postrider.endpoint e on e.id = c.endpoint_id
  left join postrider.event ev
    on ev.id = any (events) and ev.id between low and high and ev.id = c.event_id;

  if taken < cardinality(delivery_ids) then
    return query
    select b.id, null::uuid, 0, 0, 0, b.tenant_id, b.endpoint_id, b.event_id, null, null, null::float8,
      null, null::jsonb, null::int, null::int[], null::text[], null, null, null, null, null::jsonb, b.id,
      null, null::jsonb, null::jsonb, null
    from postrider.left_to_batches(delivery_ids, due_attempts) as b;
  end if;
end
$$;
comment on function postrider.claim_many(uuid[], int[], text) is
  'Claims deliveries for one attempt each (parallel arrays: delivery id, number in the job) and writes the attempts as started. Returns what is to be sent; body is null when the event is gone. Without an attempt: it is to be sent in a batch (take_batch). woken_id: whose job led to it, an earlier delivery of the ordering key where the endpoint collapses.';

create or replace function postrider.left_to_batches(delivery_ids uuid[], due_attempts int[])
returns setof postrider.delivery
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  return query
  select d.*
  from unnest(delivery_ids, due_attempts) as w (id, due)
  join postrider.delivery d
    on d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.id = w.id and d.due_attempt = w.due
  join postrider.endpoint e on e.id = d.endpoint_id and e.batch_bounds is not null
  where d.state in ('pending', 'delivering');
end
$$;
comment on function postrider.left_to_batches(uuid[], int[]) is
  'Those of the deliveries (parallel arrays: delivery id, number in the job) that are due, of endpoints with batches.';

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

create or replace function postrider.end_unclaimed(
  endpoints uuid[], cut uuid[], held uuid[], postponed uuid[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  if cut is not null then
    perform postrider.abandon_cut(cut);
  end if;
  if held is not null then
    perform postrider.replace_probe(endpoints, held);
  end if;
  if postponed is not null then
    perform postrider.postpone_deliveries(postponed);
  end if;
end
$$;
comment on function postrider.end_unclaimed(uuid[], uuid[], uuid[], uuid[]) is
  'Of deliveries that were just claimed or refused (cut: cut off before, held: of these endpoints, postponed: cut off too often; null = none): marks attempts that were cut off as abandoned, finds another probe for an open circuit, and postpones what was cut off too often.';
