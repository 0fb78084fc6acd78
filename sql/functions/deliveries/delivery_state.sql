-- The states of a delivery, and every way from one to another.
--
--              open
--         ┌─────┴──────┐
--         ▼    hold    ▼
--      pending ──────► held            pending     a job exists
--       │ ▲  ▲ ◄──────  │ ▲            held        no job exists; held_reason says why
--       │ │  │  release │ │            delivering  a runner has claimed it
--  claim│ │  └──────────│─┤ reopen
--       │ │settle       │ │            finished    delivered, failed, cancelled, collapsed
--       ▼ │ (again)     │ │
--    delivering ────────┤ │
--       │ settle        │ cancel, collapse
--       ▼               ▼ │
--  delivered, failed    cancelled, collapsed
--
--   open     publish, route_later, a replay of what was missed, a test    a new delivery
--   claim    a runner, when its job is due                                 -> delivering; held or cancelled where nothing
--                                                                          may be sent; pending, later, when three
--                                                                          claims in a row were cut off
--   settle   the runner that has the claim, with the outcome               -> delivered, failed; pending, held to try again
--   hold     align, for what the endpoint, tenant or circuit says         pending -> held, with its reason
--   release  align, or the probe of an open circuit                        held -> pending
--   reopen   a person (retry_now), a replay                                finished -> pending, held; retry_now: open too
--   cancel   a person, or anyone who deletes the endpoint or the tenant       open -> cancelled
--   collapse advance, claim: a newer one of its ordering key is sent       held -> collapsed
--
-- One that a newer event replaces at its claim is held for it, and collapsed at once: deliveries/collapse.sql.
--
-- Without a change of state a delivery gets another job: snooze (a limit), postpone (claims were cut off), requeue (its
-- job has vanished), hasten (its endpoint has it wait less than it did).
--
-- Nothing else writes state, held_reason, claim, due_attempt or next_attempt_at (delivery-state.test.ts reads the
-- catalogue). Each function leaves the job as the state asks for, in the same transaction, and each job gets a number
-- that none had before (queue/enqueue.sql).
--
-- How they are planned. Claim, settle and snooze run for every delivery, so that a plan for each batch would cost more
-- than the batch (1 ms): force_generic_plan. Such a plan has all partitions in it. The bounds on the ids let the
-- executor leave out those that cannot matter before it opens them, and `= any (ids)` makes each of the others an
-- index probe an id: by the bounds alone, a batch with one old delivery in it would read all that lies between.
-- The others run seldom, and are planned with their values (force_custom_plan).

-- held_for: why a delivery would be held at this moment; where several reasons hold, the one that a person has to lift
-- first. A reason that holds one delivery and not its endpoint is not among them, and never released with them.
create or replace function postrider.held_for(
  endpoint postrider.endpoint, tenant postrider.tenant, circuit postrider.circuit, paused boolean
) returns text
language sql immutable parallel safe
return case
  when endpoint.state = 'disabled' then 'disabled'
  when endpoint.state = 'paused' or paused then 'paused'
  when tenant.suspended_at is not null then 'suspended'
  when endpoint.unreadable_since is not null then 'secret'
  when circuit.opened_at is not null then 'circuit' end;
comment on function postrider.held_for(postrider.endpoint, postrider.tenant, postrider.circuit, boolean) is
  'Why deliveries of this endpoint are held: disabled, paused (the endpoint, or everything), suspended (its tenant), secret (it cannot be opened) or circuit (null = closed); null = they can be sent.';

-- holds: a test is there to find out whether the endpoint answers, so no circuit holds it.
create or replace function postrider.holds(reason text, trigger text) returns boolean
language sql immutable parallel safe
return reason is not null and (reason <> 'circuit' or trigger <> 'test');
comment on function postrider.holds(text, text) is
  'Whether what holds an endpoint (held_for(), null = nothing) holds a delivery with this trigger, too.';

-- open_deliveries: new deliveries, with the jobs of those that are not held.
create or replace function postrider.open_deliveries(
  tenant_ids uuid[], event_ids uuid[], endpoint_ids uuid[], held_reasons text[], due timestamptz[],
  trigger text default 'schedule', schedule_step int default 0,
  delivery_ids uuid[] default null, ordering_keys text[] default null, positions bigint[] default null
) returns uuid[]
language plpgsql
as $$
declare
  opened uuid[];
  pending uuid[];
  numbers int[];
  times timestamptz[];
  endpoints uuid[];
begin
  if tenant_ids is null then
    return '{}';
  end if;
  with opened as (
    insert into postrider.delivery as d (
      id, tenant_id, event_id, endpoint_id, state, held_reason, trigger, schedule_step, next_attempt_at, ordering_key,
      position)
    select coalesce(w.id, postrider.uuidv7()), w.tenant_id, w.event_id, w.endpoint_id,
      case when w.held_reason is null then 'pending' else 'held' end,
      w.held_reason, open_deliveries.trigger, open_deliveries.schedule_step, w.due, w.ordering_key, w.position
    from unnest(tenant_ids, event_ids, endpoint_ids, held_reasons, due, delivery_ids, ordering_keys, positions)
      as w (tenant_id, event_id, endpoint_id, held_reason, due, id, ordering_key, position)
    returning d.id, d.endpoint_id, d.held_reason is null as is_pending, d.due_attempt, d.next_attempt_at
  )
  select array_agg(o.id), array_agg(o.id) filter (where o.is_pending),
    array_agg(o.due_attempt) filter (where o.is_pending), array_agg(o.next_attempt_at) filter (where o.is_pending),
    array_agg(o.endpoint_id) filter (where o.is_pending)
  into opened, pending, numbers, times, endpoints
  from opened o;
  if pending is not null then
    perform postrider.enqueue(pending, numbers, times, endpoints, array_fill(trigger, array[cardinality(pending)]));
  end if;
  return opened;
end
$$;
comment on function postrider.open_deliveries(uuid[], uuid[], uuid[], text[], timestamptz[], text, int, uuid[], text[], bigint[]) is
  'Stores deliveries (parallel arrays: tenant, event, endpoint, why it is held or null, when it is due; and for those in a line, see open_in_lines(), their id, ordering key and position) with the jobs of the ones that are pending; returns their ids.';

-- claim_deliveries: take those whose job has the newest number, and that are open. Those whose endpoint accepts no work
-- are held instead, but for the probe of an open circuit, and tests. One that is still 'delivering' was cut off; after
-- three claims in a row that were, it stays pending, and is the caller's to postpone.
create or replace function postrider.claim_deliveries(delivery_ids uuid[], due_attempts int[])
returns setof postrider.delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  sorted uuid[] := (select array_agg(id order by id) from unnest(delivery_ids) as id);
  low uuid := sorted[1];
  high uuid := sorted[cardinality(sorted)];
  paused boolean := postrider.is_paused();
begin
  return query
  update postrider.delivery d
  set state = case when postrider.claim_verdict(d, e, t, c, paused) = 'order' then 'held'
      else postrider.claim_verdict(d, e, t, c, paused) end,
    held_reason = case postrider.claim_verdict(d, e, t, c, paused)
      when 'held' then postrider.held_for(e, t, c, paused) when 'order' then 'order' end,
    finished_at = case when e.deleted_at is not null then now() end,
    next_attempt_at = case when e.deleted_at is null then d.next_attempt_at end,
    claim = case when postrider.claim_verdict(d, e, t, c, paused) = 'delivering' then postrider.uuidv7() end,
    attempt_count = d.attempt_count + (postrider.claim_verdict(d, e, t, c, paused) = 'delivering')::int,
    abandoned_count = d.abandoned_count + (d.claim is not null)::int
  from unnest(delivery_ids, due_attempts) as w (id, due), postrider.tenant t, postrider.endpoint e
  left join postrider.circuit c on c.endpoint_id = e.id
  where d.id = any (delivery_ids) and d.id between low and high and d.id = w.id and d.due_attempt = w.due
    and d.state in ('pending', 'delivering') and e.id = d.endpoint_id and t.id = d.tenant_id and e.batch_bounds is null
  returning d.*;
end
$$;
comment on function postrider.claim_deliveries(uuid[], int[]) is
  'Claims deliveries (parallel arrays: delivery id, number in the job) that are open and due by that number, and whose endpoint has no batches; returns those it has changed, with the state that each has now.';

-- claim_batch_deliveries: the members of a batch, all of one endpoint, together. The lead keeps the job by which it was taken,
-- which is the one that others find should this runner be lost; those of the others are void by their numbers, and the caller's
-- to remove. What is held is taken along when nothing holds the endpoint any more, and the probe of an open circuit takes
-- its batch along, so that those that were sent together stay together. Where only some can be claimed (the others were
-- cut off too often), the caller has those others leave the batch: its id is never sent with other events than the first time.
create or replace function postrider.claim_batch_deliveries(
  endpoint uuid, delivery_ids uuid[], lead uuid, batch uuid
)
returns setof postrider.delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  sorted uuid[] := (select array_agg(id order by id) from unnest(delivery_ids) as id);
  low uuid := sorted[1];
  high uuid := sorted[cardinality(sorted)];
  paused boolean := postrider.is_paused();
  reason text;
  is_deleted boolean;
begin
  -- Once for all of them, but for what is cut off too often. As in claim_verdict(), a circuit lets tests through.
  select e.deleted_at is not null, postrider.held_for(e, t, c, paused)
  into is_deleted, reason
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  left join postrider.circuit c
    on c.endpoint_id = e.id and (c.probe_delivery_id = any (delivery_ids)) is not true
  where e.id = claim_batch_deliveries.endpoint;
  return query
  update postrider.delivery d
  set state = postrider.batch_verdict(d, reason, is_deleted),
    held_reason = case when postrider.batch_verdict(d, reason, is_deleted) = 'held' then reason end,
    finished_at = case when is_deleted then now() end,
    next_attempt_at = case when not is_deleted then d.next_attempt_at end,
    claim = case when postrider.batch_verdict(d, reason, is_deleted) = 'delivering' then postrider.uuidv7() end,
    attempt_count = d.attempt_count + (postrider.batch_verdict(d, reason, is_deleted) = 'delivering')::int,
    abandoned_count = d.abandoned_count + (d.claim is not null)::int,
    due_attempt = d.due_attempt + (d.id is distinct from lead)::int,
    batch_id = batch
  where d.id = any (delivery_ids) and d.id between low and high and d.finished_at is null
    and d.held_reason is distinct from 'order'
  returning d.*;
end
$$;
comment on function postrider.claim_batch_deliveries(uuid, uuid[], uuid, uuid) is
  'Claims the open ones of these deliveries of one endpoint as a batch; lead = the one whose job stays, if it is among them. Returns those it has changed, with the state that each has now.';

create or replace function postrider.batch_verdict(delivery postrider.delivery, held_for text, is_deleted boolean)
returns text
language sql immutable parallel safe
return case
  when is_deleted then 'cancelled'
  when postrider.holds(held_for, delivery.trigger) then 'held'
  when delivery.claim is not null and delivery.abandoned_count + 1 >= 3 then 'pending'
  else 'delivering' end;
comment on function postrider.batch_verdict(postrider.delivery, text, boolean) is
  'The state that a delivery gets when its batch is claimed: claim_verdict(), with what its endpoint says known already.';

create or replace function postrider.leave_batch(delivery_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  ids record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  update postrider.delivery d set batch_id = null
  where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id;
end
$$;
comment on function postrider.leave_batch(uuid[]) is 'Takes deliveries out of their batch: they are sent with others.';

create or replace function postrider.claim_verdict(
  delivery postrider.delivery, endpoint postrider.endpoint, tenant postrider.tenant,
  circuit postrider.circuit, paused boolean
) returns text
language sql stable
return case
  when endpoint.deleted_at is not null then 'cancelled'
  when paused or not postrider.accepts_work(endpoint, tenant) then 'held'
  when circuit.opened_at is not null and circuit.probe_delivery_id is distinct from delivery.id
    and delivery.trigger <> 'test' then 'held'
  when delivery.ordering_key is not null and endpoint.collapse_ms is not null and postrider.is_replaced(delivery)
    then 'order'
  when delivery.claim is not null and delivery.abandoned_count + 1 >= 3 then 'pending'
  else 'delivering' end;
comment on function postrider.claim_verdict(postrider.delivery, postrider.endpoint, postrider.tenant, postrider.circuit, boolean) is
  'The state that a delivery gets when it is claimed; order: it is held, because a newer one of its ordering key is sent instead.';

create or replace function postrider.claim_instead(delivery_ids uuid[], instead_of uuid[])
returns setof postrider.claimed_delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  sorted uuid[] := (select array_agg(id order by id) from unnest(delivery_ids) as id);
  low uuid := sorted[1];
  high uuid := sorted[cardinality(sorted)];
  claimed postrider.delivery[];
begin
  with claimed as (
    update postrider.delivery d
    set state = 'delivering', held_reason = null, claim = postrider.uuidv7(), put_off_until = null,
      attempt_count = d.attempt_count + 1, due_attempt = d.due_attempt + 1
    where d.id = any (delivery_ids) and d.id between low and high and d.held_reason = 'order'
    returning d.*
  )
  select array_agg(row(c.*)::postrider.delivery) into claimed from claimed c;

  perform postrider.hand_over_jobs(array_agg(w.instead_of), array_agg(c.id), array_agg(c.due_attempt), array_agg(c.endpoint_id))
  from unnest(claimed) as c
  join unnest(delivery_ids, instead_of) as w (id, instead_of) on w.id = c.id;
  update postrider.circuit p set probe_delivery_id = c.id
  from unnest(claimed) as c
  join unnest(delivery_ids, instead_of) as w (id, instead_of) on w.id = c.id
  where p.endpoint_id = c.endpoint_id and p.probe_delivery_id = w.instead_of;
  return query
  select c.id, c.claim, c.attempt_count, c.schedule_step, c.abandoned_count, c.tenant_id, c.endpoint_id, c.event_id,
    c.trigger, w.instead_of
  from unnest(claimed) as c
  join unnest(delivery_ids, instead_of) as w (id, instead_of) on w.id = c.id;
end
$$;
comment on function postrider.claim_instead(uuid[], uuid[]) is
  'Claims deliveries that wait for their turn, each in place of one that has just been claimed and yields (parallel arrays): they get its job, and are the probe where it was.';

-- collapse_deliveries: some that wait for their turn; a newer one has it. They have no job.
create or replace function postrider.collapse_deliveries(delivery_ids uuid[], newer uuid[])
returns setof postrider.delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  sorted uuid[] := (select array_agg(id order by id) from unnest(delivery_ids) as id);
  low uuid := sorted[1];
  high uuid := sorted[cardinality(sorted)];
  locked postrider.delivery[] := array(
    select d from postrider.delivery d
    where d.id = any (delivery_ids) and d.id between low and high
    order by d.id for update skip locked);
  collapsed int;
begin
  update postrider.delivery d
  set state = 'collapsed', held_reason = null, finished_at = now(), next_attempt_at = null, put_off_until = null,
    collapsed_by = w.newer
  from unnest(delivery_ids, newer) as w (id, newer), unnest(locked) as l
  where d.id = any (delivery_ids) and d.id between low and high and d.id = w.id and d.id = l.id
    and d.held_reason = 'order';
  get diagnostics collapsed = row_count;
  perform nextval('postrider.collapsed_number') from generate_series(1, collapsed);
  return query select l.* from unnest(locked) as l;
end
$$;
comment on function postrider.collapse_deliveries(uuid[], uuid[]) is
  'Ends deliveries that wait for their turn (parallel arrays: delivery id, the newer event that is sent instead), except the ones that somebody has locked. Returns the ones that wait no longer, as they were before.';

create or replace function postrider.collapsed_total() returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
return (select case when s.is_called then s.last_value else 0 end from postrider.collapsed_number as s);
comment on function postrider.collapsed_total() is
  'How many deliveries have been collapsed since the database was created, for metrics; see the sequence collapsed_number.';

-- settle_deliveries: end claims, with what came of each, and add the next jobs. Only the holder of the claim settles.
--
-- The job that the runner has goes with the claim, so there is no moment with one and without the other, and nothing is
-- left for the runner to complete. By its id, even when another runner holds it by then: if the runner was found dead, another may have
-- fetched it, and will claim with a number that is not the newest any more. Ids are never used again.
--
-- An attempt that was interrupted (by a shutdown, or with its kept-alive connection) is repeated without using up the
-- retry schedule; one that a fault of ours interrupted uses it up, so that the delivery ends. One that was cancelled
-- while its attempt was on the wire stays so.
create or replace function postrider.settle_deliveries(finished postrider.attempt_result[])
returns setof postrider.settled_delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  ids uuid[] := (select array_agg(f.delivery_id order by f.delivery_id) from unnest(finished) as f);
  low uuid := ids[1];
  high uuid := ids[cardinality(ids)];
  settled postrider.settled_delivery[];
  is_in_line boolean;
  is_due_again boolean;
begin
  with settled as (
    update postrider.delivery d
    set state = postrider.settle_verdict(d, f, e, t, c),
      held_reason = case when postrider.settle_verdict(d, f, e, t, c) = 'held'
        then postrider.held_for(e, t, c, false) end,
      claim = null,
      due_attempt = d.due_attempt + 1,
      put_off_until = null,
      batch_id = f.batch_id,
      schedule_step = d.schedule_step + (f.halved is not true
        and (f.outcome not in ('delivered', 'interrupted') or coalesce(f.reason = 'fault', false)))::int,
      abandoned_count = 0,
      -- What was cut off is made again for the same reason; a test is a test still.
      trigger = case when f.next_in_seconds is null or d.trigger = 'test' or f.outcome = 'interrupted'
        then d.trigger else 'schedule' end,
      next_attempt_at = case when postrider.settle_verdict(d, f, e, t, c) in ('pending', 'held')
        then now() + make_interval(secs => f.next_in_seconds) end,
      finished_at = case
        when d.state = 'cancelled' then d.finished_at
        when postrider.settle_verdict(d, f, e, t, c) not in ('pending', 'held') then now() end
    from unnest(finished) as f, postrider.tenant t, postrider.endpoint e
    left join postrider.circuit c on c.endpoint_id = e.id
    where d.id = any (ids) and d.id between low and high and d.id = f.delivery_id
      and d.claim = f.attempt_id and e.id = d.endpoint_id and t.id = d.tenant_id
    returning d.id, f.attempt_id, d.tenant_id, d.endpoint_id, d.event_id, d.state, d.due_attempt,
      d.next_attempt_at, f.outcome, f.status_code, f.reason, d.trigger, f.overtaken, d.ordering_key, f.job_id,
      f.halved, f.uncounted
  ),
  removed as (
    delete from graphile_worker._private_jobs j where j.id = any (array(select s.job_id from settled s))
  )
  select coalesce(array_agg(row(s.id, s.attempt_id, s.tenant_id, s.endpoint_id, s.event_id, s.state, s.due_attempt,
    s.next_attempt_at, s.outcome, s.status_code, s.reason, s.trigger, s.overtaken, s.ordering_key,
    s.halved, s.uncounted)::postrider.settled_delivery), '{}'), bool_or(s.ordering_key is not null),
    bool_or(s.state = 'pending')
  into settled, is_in_line, is_due_again
  from settled s;

  if is_due_again then
    perform postrider.enqueue(
      array_agg(s.id), array_agg(s.due_attempt), array_agg(s.next_attempt_at), array_agg(s.endpoint_id),
      array_agg(s.trigger))
    from unnest(settled) as s
    where s.state = 'pending';
  end if;
  if is_in_line then
    perform postrider.advance_lines(array_agg(s.tenant_id), array_agg(s.ordering_key), array_agg(s.endpoint_id))
    from unnest(settled) as s where s.ordering_key is not null;
  end if;
  return query select s.* from unnest(settled) as s;
end
$$;
comment on function postrider.settle_deliveries(postrider.attempt_result[]) is
  'Ends the claims of these attempts: their deliveries are finished, or wait for the next attempt, with its job. Returns the ones that were settled: an attempt whose claim is gone settles nothing.';

create or replace function postrider.settle_verdict(
  delivery postrider.delivery, finished postrider.attempt_result, endpoint postrider.endpoint,
  tenant postrider.tenant, circuit postrider.circuit
) returns text
language sql immutable parallel safe
return case
  when delivery.state = 'cancelled' then 'cancelled'
  when finished.outcome = 'delivered' then 'delivered'
  when finished.next_in_seconds is null then 'failed'
  when endpoint.deleted_at is not null then 'cancelled'
  when postrider.holds(postrider.held_for(endpoint, tenant, circuit, false), delivery.trigger) then 'held'
  else 'pending' end;
comment on function postrider.settle_verdict(postrider.delivery, postrider.attempt_result, postrider.endpoint, postrider.tenant, postrider.circuit) is
  'The state that a delivery gets when its attempt has ended.';

create or replace function postrider.hold_deliveries(delivery_ids uuid[], reason text) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  held int;
begin
  select * into ids from postrider.id_range(delivery_ids);
  with held as (
    update postrider.delivery d set state = 'held', held_reason = reason,
      batch_id = case when reason <> 'order' then d.batch_id end
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.state in ('pending', 'held')
    returning d.id
  )
  select count(graphile_worker.remove_job('d:' || h.id) is null) into held from held h;
  return held;
end
$$;
comment on function postrider.hold_deliveries(uuid[], text) is
  'Holds pending deliveries and removes their jobs, or gives held ones this reason; returns how many.';

create or replace function postrider.release_deliveries(
  delivery_ids uuid[], due timestamptz[], is_probe boolean default false
) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  ids record;
  released record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  with released as (
    update postrider.delivery d
    set state = 'pending', held_reason = null, put_off_until = null, due_attempt = d.due_attempt + 1,
      next_attempt_at = w.due
    from unnest(delivery_ids, due) as w (id, due)
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.id = w.id and d.state = 'held'
    returning d.id, d.due_attempt, d.next_attempt_at, d.endpoint_id,
      case when is_probe then 'probe' else d.trigger end as trigger
  )
  select count(*)::int as count, postrider.enqueue(array_agg(r.id), array_agg(r.due_attempt),
    array_agg(r.next_attempt_at), array_agg(r.endpoint_id), array_agg(r.trigger)) as call
  into released
  from released r;
  return released.count;
end
$$;
comment on function postrider.release_deliveries(uuid[], timestamptz[], boolean) is
  'Makes held deliveries pending (parallel arrays: delivery id, when it is due), with their jobs; is_probe: as the probe of an open circuit. Returns how many.';

create or replace function postrider.goes_in_line(delivery postrider.delivery, endpoint postrider.endpoint)
returns boolean
language sql immutable parallel safe
return delivery.ordering_key is not null and postrider.has_lines(endpoint);
comment on function postrider.goes_in_line(postrider.delivery, postrider.endpoint) is
  'Whether a delivery that is opened again waits for its turn: see deliveries/lines.sql.';

-- reopen_deliveries: its retry schedule begins again, attempts go on counting. For a person what is open becomes due as
-- well; a replay leaves that alone, and what was cancelled while a request is on the wire, until that has ended.
-- One with an ordering key goes to its place in the line, in front of everything newer.
--
-- A test stays one when it is sent again: it counts for neither circuit nor disabling, and one that was for a single
-- attempt (schedule_step beyond every schedule) gets one more.
create or replace function postrider.reopen_deliveries(
  delivery_ids uuid[], held_reasons text[], due timestamptz[], trigger text
) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  beyond_schedule constant int := 1000000;
  ids record;
  reopened record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  with reopened as (
    update postrider.delivery d
    set state = case when postrider.goes_in_line(d, e) or postrider.holds(w.held_reason, d.trigger)
        then 'held' else 'pending' end,
      held_reason = case when postrider.goes_in_line(d, e) then 'order'
        when postrider.holds(w.held_reason, d.trigger) then w.held_reason end,
      trigger = case when d.trigger = 'test' then d.trigger else reopen_deliveries.trigger end,
      claim = null, finished_at = null, abandoned_count = 0,
      due_attempt = d.due_attempt + 1, put_off_until = null, next_attempt_at = w.due, collapsed_by = null, batch_id = null,
      schedule_step = case when d.finished_at is null or (d.trigger = 'test' and d.schedule_step >= beyond_schedule)
        then d.schedule_step else 0 end
    from unnest(delivery_ids, held_reasons, due) as w (id, held_reason, due), postrider.endpoint e
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.id = w.id and e.id = d.endpoint_id
      and (reopen_deliveries.trigger = 'manual' or (d.finished_at is not null and d.claim is null))
    returning d.id, d.state, d.due_attempt, d.next_attempt_at, d.endpoint_id, d.trigger, d.held_reason
  ),
  queued as materialized (
    select postrider.enqueue(array_agg(r.id), array_agg(r.due_attempt), array_agg(r.next_attempt_at),
      array_agg(r.endpoint_id), array_agg(r.trigger)) as call
    from reopened r
    where r.state = 'pending'
  )
  select (select count(*)::int from reopened) as count, (select count(call) from queued),
    (select array_agg(r.id order by r.id) from reopened r where r.held_reason = 'order') as ordered
  into reopened;
  if reopened.ordered is not null then
    perform graphile_worker.remove_job('d:' || id) from unnest(reopened.ordered) as id;
    perform postrider.join_lines(reopened.ordered);
  end if;
  return reopened.count;
end
$$;
comment on function postrider.reopen_deliveries(uuid[], text[], timestamptz[], text) is
  'Reopens deliveries (parallel arrays: delivery id, why it is held or null, when it is due) for a person (manual), who can hurry an open one too, or for a replay; with their jobs. Returns how many.';

-- allow_one_attempt: their step is beyond the end of every retry schedule, so that the next outcome is final.
create or replace function postrider.allow_one_attempt(delivery_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  beyond_schedule constant int := 1000000;
  ids record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  update postrider.delivery d set schedule_step = beyond_schedule
  where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.finished_at is null;
end
$$;
comment on function postrider.allow_one_attempt(uuid[]) is
  'Has deliveries that the caller has just reopened end with their next attempt, whatever its outcome.';

-- cancel_deliveries: one that is being sent keeps its claim, so that the attempt on the wire still writes down its
-- outcome; claims in cut_off, whose runner is gone, are taken away. remove_job makes a job that a runner has locked inert.
create or replace function postrider.cancel_deliveries(delivery_ids uuid[], cut_off uuid[] default '{}') returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  cancelled record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  with cancelled as (
    update postrider.delivery d
    set state = 'cancelled', held_reason = null, finished_at = now(), next_attempt_at = null,
      claim = case when d.claim <> all (cut_off) then d.claim end
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.finished_at is null
    returning d.id, d.endpoint_id, d.claim, d.ordering_key
  )
  select array_agg(c.id order by c.id) as all_of_them,
    array_agg(c.id) filter (where c.claim is null) as unsent, array_agg(c.endpoint_id) as endpoints,
    array_agg(c.id) filter (where c.ordering_key is not null) as in_lines
  into cancelled
  from cancelled c;

  perform graphile_worker.remove_job('d:' || id) from unnest(cancelled.all_of_them) as id;
  perform postrider.replace_probe(cancelled.endpoints, cancelled.unsent);
  if cancelled.in_lines is not null then
    perform postrider.leave_lines(cancelled.in_lines);
  end if;
  return coalesce(cardinality(cancelled.all_of_them), 0);
end
$$;
comment on function postrider.cancel_deliveries(uuid[], uuid[]) is
  'Cancels those of the deliveries that are open, and removes their jobs; returns how many. cut_off: claims that nobody will settle.';

-- Of deliveries that were cancelled while their attempt was on the wire, whose runner is gone by now.
create or replace function postrider.forget_claims(delivery_ids uuid[], attempt_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  in_lines uuid[];
begin
  select * into ids from postrider.id_range(delivery_ids);
  with forgotten as (
    update postrider.delivery d set claim = null
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id
      and d.finished_at is not null and d.claim = any (attempt_ids)
    returning d.id, d.ordering_key
  )
  select array_agg(f.id) into in_lines from forgotten f where f.ordering_key is not null;
  if in_lines is not null then
    perform postrider.leave_lines(in_lines);
  end if;
end
$$;
comment on function postrider.forget_claims(uuid[], uuid[]) is
  'Takes these claims from finished deliveries: nobody will settle them.';

-- snooze_deliveries: another job, later, without a change of state. One whose number is not the newest changes nothing.
--
-- Only who has the job in hand puts off a 'delivering' one: it is yet to be taken over from a runner that is gone. Others, who move
-- what is put off, may come while a runner claims it, and the number stays with the claim: a second job would then have it sent
-- twice at a time (found by chaos: a batch that was put off, due, and brought forward at the same moment).
create or replace function postrider.snooze_deliveries(
  delivery_ids uuid[], due_attempts int[], until timestamptz[], reservations json[], batch uuid default null,
  in_hand boolean[] default null
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  sorted uuid[] := (select array_agg(id order by id) from unnest(delivery_ids) as id);
  low uuid := sorted[1];
  high uuid := sorted[cardinality(sorted)];
  queued text;
begin
  with put_off as (
    update postrider.delivery d
    set due_attempt = d.due_attempt + 1, put_off_until = w.until, batch_id = coalesce(batch, d.batch_id)
    from unnest(delivery_ids, due_attempts, until, reservations, in_hand) as w (id, due, until, reservation, in_hand)
    where d.id = any (delivery_ids) and d.id between low and high and d.id = w.id and d.due_attempt = w.due
      and (d.state = 'pending' or d.state = 'delivering' and w.in_hand is not false)
    returning d.id, d.due_attempt, d.put_off_until, d.endpoint_id, w.reservation,
      case when exists (
        select from postrider.circuit c where c.endpoint_id = d.endpoint_id and c.probe_delivery_id = d.id)
        then 'probe' else d.trigger end as trigger
  )
  select postrider.enqueue(array_agg(p.id), array_agg(p.due_attempt), array_agg(p.put_off_until),
    array_agg(p.endpoint_id), array_agg(p.trigger), array_agg(p.reservation))
  into queued
  from put_off p;
end
$$;
comment on function postrider.snooze_deliveries(uuid[], int[], timestamptz[], json[], uuid, boolean[]) is
  'Puts off open deliveries (parallel arrays: delivery id, number in the job, until when, reserved slot or null, whether the caller has its job, null = all) with a new job each; in this batch, if one is given. What a runner is sending stays as it is for a caller who has no job of it.';

-- postpone_deliveries: those whose claims were cut off three times in a row or more: 10 minutes, doubling with each
-- further one, a day at most, so that a payload which kills a runner cannot take one after another.
create or replace function postrider.postpone_deliveries(delivery_ids uuid[]) returns void
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
comment on function postrider.postpone_deliveries(uuid[]) is
  'Puts off deliveries that were abandoned three times in a row or more (abandoned_count), with a new job each.';

-- What is held has no job, and is only due earlier once it is released.
create or replace function postrider.hasten_deliveries(delivery_ids uuid[], due timestamptz[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  queued text;
begin
  select * into ids from postrider.id_range(delivery_ids);
  with hastened as (
    update postrider.delivery d
    set next_attempt_at = w.due, put_off_until = null, due_attempt = d.due_attempt + 1
    from unnest(delivery_ids, due) as w (id, due)
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.id = w.id
      and d.state in ('pending', 'held')
    returning d.id, d.state, d.due_attempt, d.next_attempt_at, d.endpoint_id, d.trigger
  )
  select postrider.enqueue(array_agg(h.id), array_agg(h.due_attempt), array_agg(h.next_attempt_at),
    array_agg(h.endpoint_id), array_agg(h.trigger))
  into queued
  from hastened h where h.state = 'pending';
end
$$;
comment on function postrider.hasten_deliveries(uuid[], timestamptz[]) is
  'Has deliveries that were not tried yet be due at another time (parallel arrays: delivery id, when), the pending ones with a new job.';

create or replace function postrider.requeue_deliveries(delivery_ids uuid[]) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  requeued record;
begin
  select * into ids from postrider.id_range(delivery_ids);
  with lost as (
    update postrider.delivery d
    set due_attempt = d.due_attempt + 1, put_off_until = null
    where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id
    returning d.id, d.due_attempt, d.next_attempt_at, d.endpoint_id, d.trigger
  )
  select count(*)::int as count, postrider.enqueue(array_agg(l.id), array_agg(l.due_attempt),
    array_agg(greatest(l.next_attempt_at, now())), array_agg(l.endpoint_id), array_agg(l.trigger)) as call
  into requeued
  from lost l;
  return requeued.count;
end
$$;
comment on function postrider.requeue_deliveries(uuid[]) is
  'Adds new jobs for these deliveries, due when the deliveries are; returns how many.';
