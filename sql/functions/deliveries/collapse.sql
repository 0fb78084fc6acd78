-- Collapsing: of the events of one ordering key that wait for an endpoint with collapse_ms, only the newest is sent.
--
-- It is a line (deliveries/lines.sql) of which the newest is next, and not the first. The one that has the turn waits for
-- its time, collapse_ms after the first, or for a retry, and makes room for a newer one meanwhile. Once it is due it keeps
-- the turn, until a runner claims it: the newest is claimed then in its place (claim_newest), with the slot and the permit
-- of the endpoint that the runner has for it. Otherwise newer ones could keep a busy endpoint from getting any. What is
-- older than the newest is collapsed when somebody looks at the line.
--
-- With batches a newer one takes the place of who waits in the batch that is being filled. One that is full, and waits for
-- a limit of the endpoint or for its retry, is sent as it is.
--
-- An event for later (deliverAt) replaces nothing before its time, and does not go out before it.
--
-- Producers lock no delivery and no line for it, so that nobody who sends waits for their commits, and they wait for
-- none but those of their keys. A publish adds an advance job only while at most one other waits, since there is a job
-- for more. So a job that looks at a line has to find out whether a producer is at it: only if it gets the lock of the
-- key at once is it sure to have seen all. Otherwise another job looks again.

create or replace function postrider.replaces_at_once(place postrider.ordering_place) returns boolean
language sql stable
return place.not_before is null or place.not_before <= now();
comment on function postrider.replaces_at_once(postrider.ordering_place) is
  'Whether one that waits in a line can be sent in place of earlier ones: it is not for later.';

create or replace function postrider.has_its_time(delivery postrider.delivery) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
return delivery.attempt_count = 0 and (delivery.trigger = 'schedule' or delivery.trigger = 'replay' and exists (
  select from postrider.event ev where ev.id = delivery.event_id and ev.deliver_at > now()));
comment on function postrider.has_its_time(postrider.delivery) is
  'Whether the next attempt of a delivery is the first, when its event, or a wait for newer ones, says. That of one that is redelivered is spread by a rate.';

create or replace function postrider.is_for_later(delivery postrider.delivery, endpoint postrider.endpoint)
returns boolean
language sql stable
return delivery.next_attempt_at > now() + make_interval(secs => endpoint.collapse_ms / 1000.0)
  and postrider.has_its_time(delivery);
comment on function postrider.is_for_later(postrider.delivery, postrider.endpoint) is
  'Whether a delivery that has its turn waits for the time of its event (deliverAt), and not for newer ones.';

create or replace function postrider.is_replaced(delivery postrider.delivery) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  return exists (
    select from postrider.ordering_place p
    where p.endpoint_id = delivery.endpoint_id and p.ordering_key = delivery.ordering_key
      and p.position > delivery.position and postrider.replaces_at_once(p));
end
$$;
comment on function postrider.is_replaced(postrider.delivery) is
  'Whether a newer event of its ordering key waits that can be sent in its place.';

create or replace function postrider.has_newer(delivery postrider.delivery) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  return exists (
    select from postrider.endpoint e where e.id = delivery.endpoint_id and e.collapse_ms is not null
  ) and (postrider.is_replaced(delivery) or exists (
    select from postrider.ordering_line l
    join postrider.delivery d on d.id = l.delivery_id and (d.finished_at is null or d.claim is not null)
    where l.tenant_id = delivery.tenant_id and l.ordering_key = delivery.ordering_key
      and l.endpoint_id = delivery.endpoint_id and l.position > delivery.position));
end
$$;
comment on function postrider.has_newer(postrider.delivery) is
  'Whether its endpoint collapses, and a newer event of its ordering key waits or is being sent.';

create or replace function postrider.keeps_slot(head postrider.delivery, endpoint postrider.endpoint) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  return endpoint.batch_bounds is null or (head.batch_id is not null and not exists (
    select from postrider.batch_room r where r.endpoint_id = endpoint.id and r.batch_id = head.batch_id));
end
$$;
comment on function postrider.keeps_slot(postrider.delivery, postrider.endpoint) is
  'Whether a delivery that is due has its turn until it is claimed: with batches only in one that is full.';

create or replace function postrider.collapse_verdict(
  line postrider.ordering_line, head postrider.delivery, endpoint postrider.endpoint
) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  newest bigint;
begin
  if head.finished_at is not null or head.state = 'delivering' then
    return case when head.finished_at is not null and head.claim is null then 'moves' else 'stays' end;
  end if;
  select p.position into newest
  from postrider.ordering_place p
  where p.endpoint_id = line.endpoint_id and p.ordering_key = line.ordering_key and postrider.replaces_at_once(p)
  order by p.position desc limit 1;
  return case
    when newest is null
      or (head.state = 'pending' and head.next_attempt_at <= now() and postrider.keeps_slot(head, endpoint)) then 'stays'
    when newest > line.position or postrider.is_for_later(head, endpoint) then 'yields'
    else 'stays' end;
end
$$;
comment on function postrider.collapse_verdict(postrider.ordering_line, postrider.delivery, postrider.endpoint) is
  'What becomes of a line whose endpoint collapses: see line_move.';

-- Its time is that of the first of those that wait. Of the oldest 100, so that a burst does not make it slow.
create or replace function postrider.newest_in_line(line_endpoint uuid, line_key text)
returns table (delivery_id uuid, place bigint, due_at timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  select n.delivery_id, n.position, (
      select min(o.due_at) from (
        select p.due_at from postrider.ordering_place p
        where p.endpoint_id = line_endpoint and p.ordering_key = line_key and postrider.replaces_at_once(p)
        order by p.position limit 100) as o)
  from postrider.ordering_place n
  where n.endpoint_id = line_endpoint and n.ordering_key = line_key and postrider.replaces_at_once(n)
  order by n.position desc limit 1;
  if not found then
    return query
    select n.delivery_id, n.position, n.due_at
    from postrider.ordering_place n
    where n.endpoint_id = line_endpoint and n.ordering_key = line_key
    order by n.not_before, n.position desc limit 1;
  end if;
end
$$;
comment on function postrider.newest_in_line(uuid, text) is
  'Who is next in a line whose endpoint collapses, and when it is due: the newest that can be sent now, otherwise the one whose time comes first.';

-- collapse_older: all but the newest, some at a time. Those that somebody has locked are left to an advance job, and so
-- is the rest.
create or replace function postrider.collapse_older(moves postrider.line_move[], tried int, batch int default 500)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  lines postrider.ordering_line[] := array(
    select l from unnest(moves) as m
    join postrider.ordering_line l
      on l.tenant_id = m.tenant_id and l.ordering_key = m.ordering_key and l.endpoint_id = m.endpoint_id
    where m.collapses);
  older record;
  ended postrider.delivery[];
begin
  select coalesce(array_agg(o.delivery_id), '{}') as ids, array_agg(o.newer_event) as newer into older
  from postrider.older_in_lines(lines, batch) as o;
  if cardinality(older.ids) > 0 then
    ended := array(select d from postrider.collapse_deliveries(older.ids, older.newer) as d);
    perform postrider.leave_places(ended);
  end if;
  update postrider.ordering_line l set search_from = l.position
  from unnest(lines) as w
  where l.tenant_id = w.tenant_id and l.ordering_key = w.ordering_key and l.endpoint_id = w.endpoint_id
    and l.search_from < l.position and not exists (
      select from postrider.ordering_place p
      where p.endpoint_id = l.endpoint_id and p.ordering_key = l.ordering_key
        and p.position >= l.search_from and p.position < l.position);
  perform postrider.look_for_newer(lines, tried,
    is_rest => cardinality(older.ids) = batch or cardinality(ended) < cardinality(older.ids));
end
$$;
comment on function postrider.collapse_older(postrider.line_move[], int, int) is
  'Collapses what waits in these lines, which are locked, and is older than the newest that can be sent: so many at most, the rest by a job.';

create or replace function postrider.older_in_lines(lines postrider.ordering_line[], most int)
returns table (delivery_id uuid, newer_event uuid)
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  heads uuid[] := array(select l.delivery_id from unnest(lines) as l where l.delivery_id is not null order by 1);
  low uuid := heads[1];
  high uuid := heads[cardinality(heads)];
begin
  return query
  select p.delivery_id, coalesce(n.event_id, h.event_id)
  from unnest(lines) as l
  join postrider.delivery h on h.id = any (heads) and h.id between low and high and h.id = l.delivery_id
  join postrider.endpoint e on e.id = l.endpoint_id
  left join lateral (
    select q.position, (select d.event_id from postrider.delivery d where d.id = q.delivery_id limit 1) as event_id
    from postrider.ordering_place q
    where q.endpoint_id = l.endpoint_id and q.ordering_key = l.ordering_key and q.position > l.position
      and postrider.replaces_at_once(q)
    order by q.position desc limit 1
  ) as n on true
  cross join lateral (
    select q.delivery_id from postrider.ordering_place q
    where q.endpoint_id = l.endpoint_id and q.ordering_key = l.ordering_key
      and q.position >= l.search_from and q.position < coalesce(n.position, l.position)
    order by q.position limit most
  ) as p
  where h.held_reason is distinct from 'order' and (n.position is not null or not postrider.is_for_later(h, e))
  limit most;
end
$$;
comment on function postrider.older_in_lines(postrider.ordering_line[], int) is
  'The ones that wait in these lines and are older than the newest that can be sent, or than who has the turn; and the event that is sent instead.';

create or replace function postrider.look_for_newer(lines postrider.ordering_line[], tried int, is_rest boolean)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  -- The snapshot of what follows is taken after the locks are.
  seen postrider.ordering_lock[] := array(
    select k from postrider.ordering_lock k
    where (k.tenant_id, k.ordering_key) in (select l.tenant_id, l.ordering_key from unnest(lines) as l)
    for update of k skip locked);
  heads uuid[] := array(select l.delivery_id from unnest(lines) as l where l.delivery_id is not null order by 1);
  low uuid := heads[1];
  high uuid := heads[cardinality(heads)];
begin
  perform postrider.enqueue_advance(l.tenant_id, l.endpoint_id, l.ordering_key, tried)
  from unnest(lines) as l
  join postrider.endpoint e on e.id = l.endpoint_id
  join postrider.delivery h on h.id = any (heads) and h.id between low and high and h.id = l.delivery_id
  left join postrider.ordering_lock k on k.tenant_id = l.tenant_id and k.ordering_key = l.ordering_key
  where h.finished_at is null and h.held_reason is distinct from 'order' and (
    is_rest or postrider.collapse_verdict(l, h, e) = 'yields'
    or (k.tenant_id is not null and not exists (
      select from unnest(seen) as s where s.tenant_id = k.tenant_id and s.ordering_key = k.ordering_key)));
end
$$;
comment on function postrider.look_for_newer(postrider.ordering_line[], int, boolean) is
  'Has a runner look again at those of the lines in which somebody newer waits by now, or a producer is just adding one. is_rest: at all of them.';

-- claim_newest: the turn of those that a claim has just found to be replaced goes to the newest of their keys, which is
-- claimed instead: within the limits of the endpoint that were asked for the one that was due. A new job would have to
-- ask again, and the next event would be there by then. The job of the runner is that of the newest from here on.
create or replace function postrider.claim_newest(yielding uuid[]) returns setof postrider.claimed_delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  yielded postrider.delivery[] := array(select d from postrider.deliveries_in_line(yielding) as d);
  moves postrider.line_move[];
  taken postrider.line_move[];
begin
  perform postrider.take_places(yielded);
  moves := postrider.moves_of(array(
    select l
    from unnest(yielded) as d
    join postrider.ordering_line l on l.tenant_id = d.tenant_id and l.ordering_key = d.ordering_key
      and l.endpoint_id = d.endpoint_id and l.delivery_id = d.id
    order by l.tenant_id, l.ordering_key, l.endpoint_id
    for update of l skip locked), '{}');
  taken := array(
    select m from unnest(postrider.next_in_line(moves)) as m
    where m.verdict = 'released' and m.due <= now() and coalesce(m.held_reason, 'circuit') = 'circuit');
  if cardinality(taken) > 0 then
    perform postrider.pass_turn(taken);
    return query
    select * from postrider.claim_instead(
      array(select m.next_id from unnest(taken) as m), array(select m.head_id from unnest(taken) as m));
    perform postrider.collapse_older(taken, tried => 0);
  end if;
  perform postrider.advance_lines(array_agg(d.tenant_id), array_agg(d.ordering_key), array_agg(d.endpoint_id))
  from unnest(yielded) as d
  where not exists (select from unnest(taken) as m where m.head_id = d.id) having count(*) > 0;
end
$$;
comment on function postrider.claim_newest(uuid[]) is
  'Claims the newest of the ordering keys of these deliveries, which have just yielded to it, and collapses what is older; the ones that cannot be claimed at this moment get their turn.';

-- enqueue_collapses: for what is being published. Where two wait there is a job for them, or somebody is at it who looks
-- again. What is for later is looked at in its time. With an order and batches the one in front is hurried (hurry_batch).
create or replace function postrider.enqueue_collapses(
  waiting uuid[], tenant_ids uuid[], ordering_keys text[], endpoint_ids uuid[], positions bigint[],
  delivery_ids uuid[], not_before timestamptz[]
) returns void
language plpgsql
set search_path = postrider, pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  is_any_due boolean;
begin
  select bool_or(j.run_at <= clock_timestamp()) into is_any_due
  from graphile_worker.add_jobs(array(
    select row('advance', json_build_object('t', w.tenant_id, 'e', w.endpoint_id, 'k', w.key, 'n', 1), null,
      case when e.collapse_ms is null then now() else coalesce(w.not_before, now()) end, 25, null,
      postrider.job_priority('advance'), null)::graphile_worker.job_spec
    from unnest(tenant_ids, ordering_keys, endpoint_ids, positions, delivery_ids, not_before)
      as w (tenant_id, key, endpoint_id, position, id, not_before)
    join postrider.endpoint e on e.id = w.endpoint_id and (e.collapse_ms is not null or postrider.orders_batches(e))
    where w.id = any (waiting) and (w.not_before is not null or not exists (
      select from postrider.ordering_place p
      where p.endpoint_id = w.endpoint_id and p.ordering_key = w.key and p.position < w.position
        and postrider.replaces_at_once(p)
      offset 1)))) as j;
  if is_any_due then
    perform postrider.wake_runners();
  end if;
end
$$;
comment on function postrider.enqueue_collapses(uuid[], uuid[], text[], uuid[], bigint[], uuid[], timestamptz[]) is
  'Has a runner look at the lines of these new deliveries, which wait, where the endpoint collapses, or has batches in order, and no job is sure to do that.';

create or replace function postrider.advance_waiting_lines(endpoint uuid, most int) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  perform postrider.enqueue_advance(w.tenant_id, advance_waiting_lines.endpoint, w.ordering_key)
  from (
    select distinct p.tenant_id, p.ordering_key from postrider.ordering_place p
    where p.endpoint_id = advance_waiting_lines.endpoint limit most) as w;
end
$$;
comment on function postrider.advance_waiting_lines(uuid, int) is
  'Has a runner look at lines of an endpoint in which somebody waits, so many at most: those beyond are moved by their next event, or by reconcile().';

-- hasten_waiting: collapse_ms was lowered, or taken away. What is published with it has it in next_attempt_at, as have the
-- ones that wait in line in due_at: both get the time that the present one says, where that is earlier. It counts from
-- the publishing of each, and not of the first, which is not known any more.
--
-- Cost: a pass over the open deliveries of the endpoint.
create or replace function postrider.hasten_waiting(endpoint uuid, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  late record;
begin
  select coalesce(array_agg(w.id), '{}') as ids, array_agg(w.due) as due into late
  from (
    select d.id, greatest(n.due, now()) as due
    from postrider.delivery d
    join postrider.endpoint e on e.id = d.endpoint_id
    left join lateral (select v.deliver_at from postrider.event v where v.id = d.event_id limit 1) as ev on true
    cross join lateral (
      select greatest(ev.deliver_at, d.created_at + make_interval(secs => coalesce(e.collapse_ms, 0) / 1000.0)) as due
      offset 0) as n
    where d.endpoint_id = hasten_waiting.endpoint and d.finished_at is null and d.state in ('pending', 'held')
      and d.ordering_key is not null and d.attempt_count = 0 and d.trigger = 'schedule'
      and d.next_attempt_at > now() -- so that no event is looked up for a backlog
      and d.next_attempt_at > n.due
    order by d.id limit batch for update of d skip locked
  ) as w;
  if cardinality(late.ids) > 0 then
    perform postrider.hasten_deliveries(late.ids, late.due);
    update postrider.ordering_place p set due_at = d.next_attempt_at
    from unnest(array(select d from postrider.deliveries_in_line(late.ids) as d where d.held_reason = 'order')) as d
    where p.endpoint_id = d.endpoint_id and p.ordering_key = d.ordering_key and p.position = d.position;
  end if;
  return cardinality(late.ids);
end
$$;
comment on function postrider.hasten_waiting(uuid, int) is
  'Has what waits for newer events of its ordering key be due when its endpoint says now, where that is earlier: so many at most. Returns how many.';
