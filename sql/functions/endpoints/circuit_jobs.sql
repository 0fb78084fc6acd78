-- Jobs about an endpoint as a whole: 'probe', 'align' and 'replan'. One of each at most for an endpoint, but for
-- a second 'replan' (endpoints/changed_limits.sql).

create or replace function postrider.enqueue_endpoint_job(
  task text, endpoint uuid, run_at timestamptz, key_prefix text default null
) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  select postrider.enqueue_single(task, json_build_object('e', endpoint), run_at, coalesce(key_prefix, task) || ':' || endpoint);
end;
comment on function postrider.enqueue_endpoint_job(text, uuid, timestamptz, text) is
  'Adds, or moves, the probe, align or replan job of an endpoint; its key begins with the task by default. Raises 40001 when it could not be added.';

create or replace function postrider.schedule_probe(endpoint uuid, at timestamptz) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  update postrider.circuit c set probe_at = at, probe_delivery_id = null where c.endpoint_id = endpoint;
  perform postrider.enqueue_endpoint_job('probe', endpoint, at);
end
$$;
comment on function postrider.schedule_probe(uuid, timestamptz) is 'Plans the next probe of an open circuit.';

create or replace function postrider.replace_probe(endpoint_ids uuid[], delivery_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  perform postrider.schedule_probe(c.endpoint_id, now())
  from postrider.circuit c
  where c.endpoint_id = any (endpoint_ids) and c.opened_at is not null and c.probe_delivery_id = any (delivery_ids);
end
$$;
comment on function postrider.replace_probe(uuid[], uuid[]) is
  'Plans another probe at once for those of the endpoints whose probe is one of these deliveries, which will not be sent now.';

-- probe_changed_url: what leads elsewhere is not kept waiting for what the receiver before did.
create or replace function postrider.probe_changed_url() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  perform postrider.schedule_probe(new.id, now())
  from postrider.circuit c
  where c.endpoint_id = new.id and c.opened_at is not null;
  return null;
end
$$;
comment on function postrider.probe_changed_url() is
  'Trigger on endpoint: has an open circuit probed at once when the URL was changed.';

create or replace trigger endpoint_url
after update of url on postrider.endpoint
for each row
when (new.url <> old.url)
execute function postrider.probe_changed_url();

-- probe: let one delivery through an open circuit. Where there is none that may be sent the circuit closes to one
-- failure before opening, so that the next event finds out; what is held (for later, or locked at this moment) is
-- released. While people hold the endpoint, or all, it looks again every minute; release_secrets() has it look.
create or replace function postrider.probe(endpoint uuid) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  circuit postrider.circuit;
  chosen postrider.delivery;
  candidates uuid[];
  accepts boolean;
  looks_again boolean;
begin
  select * into circuit from postrider.circuit c
  where c.endpoint_id = endpoint and c.opened_at is not null for update;
  if circuit.endpoint_id is null or circuit.probe_at > clock_timestamp() + interval '1 second' then
    return null;
  end if;
  select postrider.accepts_work(e, t) and not postrider.is_paused(), e.unreadable_since is null
  into accepts, looks_again
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  where e.id = endpoint and e.state <> 'disabled' and e.deleted_at is null;
  if not coalesce(accepts, false) then
    -- Enabling begins with a new count of failures, so that a disabled endpoint needs no probe.
    if looks_again then
      perform postrider.schedule_probe(endpoint, now() + interval '1 minute');
    end if;
    return null;
  end if;
  candidates := postrider.probe_candidates(endpoint);
  select d.* into chosen from postrider.delivery d
  where d.id = any (candidates) and d.finished_at is null and d.state = 'held'
  order by array_position(candidates, d.id) limit 1 for update skip locked;
  if chosen.id is null then
    update postrider.circuit c set opened_at = null, probe_at = null, failures = 19
    where c.endpoint_id = endpoint;
    perform postrider.enqueue_endpoint_job('align', endpoint, now());
    return null;
  end if;

  update postrider.circuit c set probe_at = null, probe_delivery_id = chosen.id where c.endpoint_id = endpoint;
  perform postrider.release_deliveries(array[chosen.id], array[now()], is_probe => true);
  return chosen.id;
end
$$;
comment on function postrider.probe(uuid) is
  'Lets one held delivery of an open circuit through, the one that was tried the least; returns its id, or null when there is nothing to probe with.';

-- probe_candidates: the held deliveries that may be sent now, those first that were tried the least, then the oldest.
-- One that was tried says less about the receiver, which may refuse just that one, and each probe puts its delivery
-- behind the others: so those that opened the circuit do not keep it open while others wait. An event that is
-- scheduled for later may not be sent, while one that has failed may be tried before its time. A test is no probe, as its
-- failure says nothing of the endpoint.
--
-- Among the oldest and the newest 500, so that the cost does not grow with what is held.
create or replace function postrider.probe_candidates(endpoint uuid, most int default 10) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  return array(
    select c.id
    from (
      (select d.id, d.attempt_count from postrider.delivery d
       where d.endpoint_id = endpoint and d.finished_at is null and d.state = 'held' and d.held_reason <> 'order'
         and d.trigger <> 'test' and (d.next_attempt_at <= now() or d.attempt_count > 0)
       order by d.id limit 500)
      union
      (select d.id, d.attempt_count from postrider.delivery d
       where d.endpoint_id = endpoint and d.finished_at is null and d.state = 'held' and d.held_reason <> 'order'
         and d.trigger <> 'test' and (d.next_attempt_at <= now() or d.attempt_count > 0)
       order by d.id desc limit 500)
    ) as c
    order by c.attempt_count, c.id limit most);
end
$$;
comment on function postrider.probe_candidates(uuid, int) is
  'Held deliveries of an endpoint with which its circuit can be probed, the best first.';

-- align: bring the open deliveries of an endpoint in line with whether it accepts work, one batch a call:
-- held ones become due, spread over time, or pending ones are held, and what is held says by what. While more is left it adds its own job
-- again in the same transaction, so a crash half-way loses nothing.
--
-- 100 a second: a receiver that has just come back is not run over, and 10,000 are out in two minutes.
create or replace function postrider.align(endpoint uuid, batch int default 500) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  per_second constant int := 100;
  target record;
  moved int;
begin
  select e.deleted_at is not null as is_deleted, not postrider.has_lines(e) or e.deleted_at is not null as is_unordered,
    postrider.blocks_others(e) as blocks, postrider.held_for(e, t, c, postrider.is_paused()) as held_for
  into target
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  left join postrider.circuit c on c.endpoint_id = e.id
  where e.id = endpoint;
  moved := case when target.blocks then 0 else postrider.unblock_lines(endpoint, batch) end
    + case when target.is_unordered
      then postrider.empty_lines(endpoint, target.held_for, target.is_deleted, batch, per_second) else 0 end;
  if moved > 0 then
    perform postrider.enqueue_endpoint_job('align', endpoint, now() + make_interval(secs => moved::float8 / per_second));
    return moved;
  end if;
  moved := case
    when target.is_deleted then postrider.cancel_deliveries_of(endpoint, batch)
    when target.held_for is null then postrider.release_held(endpoint, batch, per_second)
    else postrider.hold_open(endpoint, target.held_for, batch) end;
  if moved = batch then
    perform postrider.enqueue_endpoint_job('align', endpoint,
      now() + case when target.held_for is null then make_interval(secs => batch::float8 / per_second) else interval '0' end);
  end if;
  return moved;
end
$$;
comment on function postrider.align(uuid, int) is
  'Releases the held deliveries of an endpoint that accepts work, or holds the pending ones of one that does not: one batch, the rest by a job. Returns how many it moved.';

-- endpoint_reasons: the reasons of held_for(). What is held for another one waits for something else than its endpoint.
create or replace function postrider.endpoint_reasons() returns text[]
language sql immutable parallel safe
return array['disabled', 'paused', 'suspended', 'secret', 'circuit'];
comment on function postrider.endpoint_reasons() is
  'The values of delivery.held_reason that hold all deliveries of an endpoint.';

-- release_held: those first that nobody has tried. Where a receiver fails with some events (500, a hang) and takes
-- all others, those that opened the circuit are the oldest of what is held: released first, they would open it again
-- before any other is sent, once a probe, until their schedules are used up. Of the oldest of ten batches, so that
-- the cost of a batch does not grow with what is held.
create or replace function postrider.release_held(endpoint uuid, batch int, per_second numeric) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  oldest uuid[] := array(
    select d.id from postrider.delivery d
    where d.endpoint_id = endpoint and d.finished_at is null and d.state = 'held'
      and d.held_reason = any (postrider.endpoint_reasons())
    order by d.id limit 10 * batch);
begin
  return postrider.release_spread(array(
    select d.id from postrider.delivery d
    where d.id = any (oldest) and d.finished_at is null and d.state = 'held'
      and d.held_reason = any (postrider.endpoint_reasons())
    order by d.attempt_count > 0, d.id limit batch for update skip locked), per_second);
end
$$;
comment on function postrider.release_held(uuid, int, numeric) is
  'Makes held deliveries of an endpoint due again, so many a second: those first that nobody has tried, then the oldest; returns how many.';

create or replace function postrider.close_circuits(endpoints uuid[], opened_before timestamptz default 'infinity')
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  closed uuid;
begin
  for closed in
    update postrider.circuit c set opened_at = null, probe_at = null, probe_delivery_id = null, failures = 0
    where c.endpoint_id = any (endpoints) and c.opened_at < opened_before
    returning c.endpoint_id
  loop
    perform graphile_worker.remove_job('probe:' || closed);
  end loop;
end
$$;
comment on function postrider.close_circuits(uuid[], timestamptz) is
  'Closes by hand the open circuits of these endpoints that have opened before then, and removes their probes.';

create or replace function postrider.spread(ids uuid[], per_second numeric) returns timestamptz[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select array_agg(now() + make_interval(secs => (i.nth / per_second)::float8) order by i.nth)
  from unnest(ids) with ordinality as i (id, nth)
$$;
comment on function postrider.spread(uuid[], numeric) is 'When each of these is due, so many a second from now.';

create or replace function postrider.release_spread(delivery_ids uuid[], per_second numeric) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  return (
    select postrider.release_deliveries(array_agg(d.id), array_agg(greatest(d.next_attempt_at, w.due)))
    from unnest(delivery_ids, postrider.spread(delivery_ids, per_second)) as w (id, due)
    join postrider.delivery d
      on d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.id = w.id);
end
$$;
comment on function postrider.release_spread(uuid[], numeric) is
  'Makes held deliveries due, so many a second in this order, but none before its own time; returns how many.';

-- hold_open: what is held already gets the reason that holds it now, so that the tables say what a person has to lift.
create or replace function postrider.hold_open(endpoint uuid, reason text, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  pending uuid[] := array(
    select d.id from postrider.delivery d
    left join postrider.circuit c on c.endpoint_id = d.endpoint_id
    where d.endpoint_id = endpoint and d.finished_at is null and d.state = 'pending'
      and c.probe_delivery_id is distinct from d.id and d.trigger <> 'test'
    order by d.id limit batch for update of d skip locked);
  held uuid[] := array(
    select d.id from postrider.delivery d
    where d.endpoint_id = endpoint and d.held_reason = any (array_remove(postrider.endpoint_reasons(), reason))
    limit batch - cardinality(pending) for update skip locked);
begin
  return postrider.hold_deliveries(pending || held, reason);
end
$$;
comment on function postrider.hold_open(uuid, text, int) is
  'Holds pending deliveries of an endpoint for this reason, and gives it to the ones that are held for another one of endpoint_reasons(); returns how many. Its probe and tests are left to their claim, which knows whether they can pass.';
