-- Lines: one delivery at a time for each ordering key of an endpoint with `ordering = key`, in the order of
-- event.position, which is that of commits (hold_ordering_keys in events/publish.sql). With collapse_ms the newest of
-- those that wait is next, and the older ones end as collapsed: deliveries/collapse.sql.
--
--   ordering_line    who has its turn, a row a key. Only that one may be pending or delivering, or held for what holds the
--                    whole endpoint.
--   ordering_place   those that wait: held with reason order, without a job.
--
-- A turn ends when the delivery is delivered or cancelled; failed ends it where the endpoint says skip, and with
-- block the line waits for a person (blocked_at). While a request may be on the wire (delivery.claim) it does not end.
-- Whatever ends it calls advance_lines() in the same transaction, which gives the turn to the next.
--
-- Retries and replays go through the same line: a delivery that is opened again takes its old place, and so goes in
-- front of everything newer. One that has its turn and is not being sent makes room for it (yields).
--
-- Who locks what. A producer holds the lock of its key (ordering_lock) until it commits, perhaps for long, and nothing
-- here waits for that: a runner that finds a line empty removes it only if it gets the lock of the key at once, since a
-- producer that has it may have put a delivery behind this one, unseen as yet. If it does not get it, an 'advance' job looks
-- again. In the same way the line, and the delivery that is next, are locked only if nobody has them. A transaction
-- that changes a place or a line has locked its delivery first.
--
-- The line itself can be a producer's, unseen until it commits. So what joins a line (join_lines) tries for milliseconds,
-- less than Postgres needs to look for a deadlock, and leaves the lines that it does not get to an advance job: its
-- deliveries are in their places, and the job takes them to the line (reach_line). Those who have begun a line in the same way
-- wait for nobody any more, so that a producer who waits for them waits for their commit only.

-- A publish in repeatable read calls it: postrider in the search_path, as in enqueue().
create or replace function postrider.enqueue_advance(
  tenant uuid, endpoint uuid, ordering_key text, tried int default 0
) returns void
language plpgsql
set search_path = postrider, pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  pause constant float8 := case when tried = 0 then 0 else least(0.02 * power(2, least(tried, 10)), 1) end;
begin
  perform graphile_worker.add_job('advance',
    json_build_object('t', tenant, 'e', endpoint, 'k', ordering_key, 'n', tried + 1),
    run_at => clock_timestamp() + make_interval(secs => pause), priority => postrider.job_priority('advance'));
  if pause = 0 then
    perform postrider.wake_runners();
  end if;
end
$$;
comment on function postrider.enqueue_advance(uuid, uuid, text, int) is
  'Has a runner look at a line, whose state could not be seen at this moment: at once, and later the more often it was tried.';

create or replace function postrider.advance_line(tenant uuid, endpoint uuid, ordering_key text, tried int default 0)
returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  perform postrider.hurry_batch(tenant, endpoint, ordering_key);
  if postrider.reach_line(tenant, endpoint, ordering_key) then
    perform postrider.advance_lines(array[tenant], array[ordering_key], array[endpoint], tried);
  else
    perform postrider.enqueue_advance(tenant, endpoint, ordering_key, tried);
  end if;
end
$$;
comment on function postrider.advance_line(uuid, uuid, text, int) is
  'What an advance job does: gives the turn in a line to the next, if the one that has it has ended. Where that one waits in a batch that is being filled, and others for it, the batch is sent.';

-- advance_lines: for lines whose delivery may have ended, the next one's turn.
--
-- Cost: four statements a batch of lines, planned once a session (see deliveries/delivery_state.sql).
create or replace function postrider.advance_lines(
  tenant_ids uuid[], ordering_keys text[], endpoint_ids uuid[], tried int default 0, passed uuid[] default '{}'
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  lines postrider.ordering_line[] := array(
    select l
    from (select distinct t, k, e from unnest(tenant_ids, ordering_keys, endpoint_ids) as u (t, k, e)) as w
    join postrider.ordering_line l on l.tenant_id = w.t and l.ordering_key = w.k and l.endpoint_id = w.e
    order by l.tenant_id, l.ordering_key, l.endpoint_id
    for update of l skip locked);
  moves postrider.line_move[] := postrider.moves_of(lines, passed);
  yielded uuid[];
  taken postrider.line_move[];
begin
  if exists (select from unnest(moves) as m where m.verdict in ('blocks', 'yields')) then
    yielded := postrider.block_and_yield(moves);
    moves := array(select m from unnest(moves) as m where m.verdict <> 'yields' or m.head_id = any (yielded));
  end if;
  taken := postrider.next_in_line(moves);
  if cardinality(taken) > 0 then
    perform postrider.give_turn(taken);
  end if;
  if exists (select from unnest(moves) as m where m.collapses) then
    perform postrider.collapse_older(moves, tried);
  end if;
  if cardinality(lines) < cardinality(tenant_ids) or cardinality(moves) < cardinality(lines)
    or exists (select from unnest(moves) as m where m.verdict in ('moves', 'yields') and m.next_id is null)
    or cardinality(taken) < (select count(*) from unnest(moves) as m where m.next_id is not null)
  then
    perform postrider.look_again(tenant_ids, ordering_keys, endpoint_ids, moves, taken, tried);
  end if;
end
$$;
comment on function postrider.advance_lines(uuid[], text[], uuid[], int, uuid[]) is
  'Gives the turn to the next in each of these lines (parallel arrays: tenant, ordering key, endpoint) whose delivery has ended. passed: failed deliveries that are to block no longer. What somebody has locked at this moment is left to an advance job.';

create or replace function postrider.moves_of(lines postrider.ordering_line[], passed uuid[]) returns postrider.line_move[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  heads uuid[] := array(select l.delivery_id from unnest(lines) as l where l.delivery_id is not null order by 1);
  low uuid := heads[1];
  high uuid := heads[cardinality(heads)];
begin
  return array(
    select row(v.tenant_id, v.ordering_key, v.endpoint_id, v.verdict, v.delivery_id,
      p.delivery_id, p.place, null, case when v.verdict = 'yields' then least(p.due_at, v.bound) else p.due_at end,
      v.collapses)::postrider.line_move
    from (
      select l.*, e.collapse_ms is not null as collapses,
        case when e.collapse_ms is not null and d.attempt_count = 0 and d.trigger = 'schedule'
          then d.next_attempt_at end as bound,
        case
          when d.id is null or d.held_reason = 'order' then 'moves'
          when e.collapse_ms is not null then postrider.collapse_verdict(l, d, e)
          when d.finished_at is null and d.state <> 'delivering' and exists (
            select from postrider.ordering_place b
            where b.endpoint_id = l.endpoint_id and b.ordering_key = l.ordering_key and b.position < l.position
              and b.position >= l.search_from)
            then 'yields'
          when d.finished_at is null or d.claim is not null then 'stays'
          when d.state = 'failed' and postrider.blocks_line(d, e) and d.id <> all (passed) then 'blocks'
          else 'moves' end as verdict
      from unnest(lines) as l
      join postrider.endpoint e on e.id = l.endpoint_id
      left join postrider.delivery d on d.id = any (heads) and d.id between low and high and d.id = l.delivery_id
      offset 0
    ) as v
    left join lateral (
      (select n.delivery_id, n.position, null::timestamptz from postrider.ordering_place n
       where not v.collapses and v.verdict in ('moves', 'yields') and n.endpoint_id = v.endpoint_id
         and n.ordering_key = v.ordering_key and n.position >= v.search_from
       order by n.position limit 1)
      union all
      select n.* from postrider.newest_in_line(v.endpoint_id, v.ordering_key) as n
      where v.collapses and v.verdict in ('moves', 'yields')
    ) as p (delivery_id, place, due_at) on true);
end
$$;
comment on function postrider.moves_of(postrider.ordering_line[], uuid[]) is
  'What becomes of these lines, which are locked: see line_move.';

create or replace function postrider.blocks_others(endpoint postrider.endpoint) returns boolean
language sql immutable parallel safe
return endpoint.ordering = 'key' and endpoint.on_failure = 'block' and endpoint.collapse_ms is null
  and endpoint.deleted_at is null;
comment on function postrider.blocks_others(postrider.endpoint) is
  'Whether what fails at this endpoint blocks the later events of its ordering key.';

-- What can never be sent blocks nobody: its data was erased.
create or replace function postrider.blocks_line(delivery postrider.delivery, endpoint postrider.endpoint)
returns boolean
language sql stable
return postrider.blocks_others(endpoint) and postrider.has_data(delivery.event_id);
comment on function postrider.blocks_line(postrider.delivery, postrider.endpoint) is
  'Whether a failed delivery keeps its turn until a person decides.';

-- One that a runner is just claiming, or that somebody has locked, does not yield.
create or replace function postrider.block_and_yield(moves postrider.line_move[]) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  yielding uuid[] := array(
    select d.id from postrider.delivery d
    where d.id = any (array(select m.head_id from unnest(moves) as m where m.verdict = 'yields'))
      and d.state in ('pending', 'held')
    order by d.id for update skip locked);
begin
  update postrider.ordering_line l set blocked_at = now()
  from unnest(moves) as m
  where m.verdict = 'blocks' and l.blocked_at is null
    and l.tenant_id = m.tenant_id and l.ordering_key = m.ordering_key and l.endpoint_id = m.endpoint_id;
  if cardinality(yielding) > 0 then
    perform postrider.hold_deliveries(yielding, 'order');
    perform postrider.take_places(array(select d from postrider.deliveries_in_line(yielding) as d));
    perform postrider.replace_probe(array_agg(m.endpoint_id), yielding)
    from unnest(moves) as m where m.head_id = any (yielding);
  end if;
  return yielding;
end
$$;
comment on function postrider.block_and_yield(postrider.line_move[]) is
  'Notes which lines wait for a person, and puts back the deliveries that make room for an earlier one, which it returns.';

-- Those that nobody has locked. A failed one that another was sent again before takes its turn back, and blocks.
create or replace function postrider.next_in_line(moves postrider.line_move[]) returns postrider.line_move[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  ids uuid[] := array(select m.next_id from unnest(moves) as m where m.next_id is not null order by 1);
  low uuid := ids[1];
  high uuid := ids[cardinality(ids)];
begin
  if cardinality(ids) = 0 then
    return '{}';
  end if;
  return array(
    select row(m.tenant_id, m.ordering_key, m.endpoint_id, case when d.held_reason = 'order' then 'released' else 'ended' end,
      m.head_id, m.next_id, m.next_position,
      case when c.probe_delivery_id is distinct from d.id then postrider.held_for(e, t, c, false) end,
      greatest(coalesce(m.due, d.next_attempt_at), now()), m.collapses)::postrider.line_move
    from unnest(moves) as m
    join postrider.delivery d on d.id = any (ids) and d.id between low and high and d.id = m.next_id
    join postrider.endpoint e on e.id = d.endpoint_id
    join postrider.tenant t on t.id = d.tenant_id
    left join postrider.circuit c on c.endpoint_id = d.endpoint_id
    for update of d skip locked);
end
$$;
comment on function postrider.next_in_line(postrider.line_move[]) is
  'Locks the ones that are next, as far as nobody has them; verdict released where one can be sent, ended where it is finished already.';

-- Where the endpoint collapses, what is older is in its place still.
create or replace function postrider.pass_turn(taken postrider.line_move[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
begin
  with left_place as (
    delete from postrider.ordering_place p using unnest(taken) as m
    where p.endpoint_id = m.endpoint_id and p.ordering_key = m.ordering_key and p.position = m.next_position
  )
  update postrider.ordering_line l
  set delivery_id = m.next_id, position = m.next_position, blocked_at = null, moved_at = now(),
    search_from = case when m.collapses then l.search_from else m.next_position end
  from unnest(taken) as m
  where l.tenant_id = m.tenant_id and l.ordering_key = m.ordering_key and l.endpoint_id = m.endpoint_id;
end
$$;
comment on function postrider.pass_turn(postrider.line_move[]) is
  'Writes down who has its turn, and takes away the place where it waited.';

create or replace function postrider.give_turn(taken postrider.line_move[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  held record;
begin
  perform postrider.pass_turn(taken);
  perform postrider.release_deliveries(array_agg(m.next_id), array_agg(m.due))
  from unnest(taken) as m where m.verdict = 'released' and m.held_reason is null having count(*) > 0;
  for held in
    select m.held_reason as reason, array_agg(m.next_id) as ids
    from unnest(taken) as m where m.verdict = 'released' and m.held_reason is not null group by 1
  loop
    perform postrider.hold_deliveries(held.ids, held.reason);
  end loop;
end
$$;
comment on function postrider.give_turn(postrider.line_move[]) is
  'The ones that are next have their turn: they are pending, or held for what holds their endpoint.';

-- look_again: for the lines that could not be dealt with. One without anybody in it is removed under the lock of its key.
create or replace function postrider.look_again(
  tenant_ids uuid[], ordering_keys text[], endpoint_ids uuid[], moves postrider.line_move[], taken postrider.line_move[],
  tried int
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  -- The snapshot of what follows is taken after the locks are.
  unused postrider.ordering_lock[] := array(
    select k
    from postrider.ordering_lock k
    where (k.tenant_id, k.ordering_key) in (
      select m.tenant_id, m.ordering_key from unnest(moves) as m where m.verdict in ('moves', 'yields') and m.next_id is null)
    for update of k skip locked);
begin
  delete from postrider.ordering_line l using unnest(moves) as m, unnest(unused) as k
  where m.verdict in ('moves', 'yields') and m.next_id is null
    and l.tenant_id = m.tenant_id and l.ordering_key = m.ordering_key and l.endpoint_id = m.endpoint_id
    and k.tenant_id = m.tenant_id and k.ordering_key = m.ordering_key
    and not exists (
      select from postrider.ordering_place p where p.endpoint_id = l.endpoint_id and p.ordering_key = l.ordering_key);

  perform postrider.enqueue_advance(l.tenant_id, l.endpoint_id, l.ordering_key, tried)
  from (select distinct t, k, e from unnest(tenant_ids, ordering_keys, endpoint_ids) as u (t, k, e)) as w
  join postrider.ordering_line l on l.tenant_id = w.t and l.ordering_key = w.k and l.endpoint_id = w.e
  where not exists (
    select from unnest(moves) as m
    where m.tenant_id = w.t and m.ordering_key = w.k and m.endpoint_id = w.e and m.verdict in ('stays', 'blocks'))
  and not exists (
    select from unnest(taken) as m
    where m.tenant_id = w.t and m.ordering_key = w.k and m.endpoint_id = w.e and m.verdict = 'released');
end
$$;
comment on function postrider.look_again(uuid[], text[], uuid[], postrider.line_move[], postrider.line_move[], int) is
  'Removes lines in which nobody is, and has a runner look again at the ones that another transaction is changing.';

-- open_in_lines: new deliveries, of which some have an ordering key. The first of a key that has no line has its turn at
-- once; the others wait. Those of endpoints that do not order are opened as open_deliveries() does.
create or replace function postrider.open_in_lines(
  tenant_ids uuid[], event_ids uuid[], endpoint_ids uuid[], held_reasons text[], due timestamptz[],
  ordering_keys text[], positions bigint[], trigger text default 'schedule', is_late boolean default false
) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  ids uuid[];
  keys text[];
  waits int[];
  is_looked_at boolean;
  due_at timestamptz[];
  has_turn uuid[] := '{}';
  waiting uuid[];
  opened uuid[];
begin
  if coalesce(array_remove(ordering_keys, null), '{}') = '{}' then
    return postrider.open_deliveries(tenant_ids, event_ids, endpoint_ids, held_reasons, due, trigger);
  end if;
  ids := array(select postrider.uuidv7() from unnest(tenant_ids));
  select array_agg(case when postrider.has_lines(e) then w.key end order by w.n),
    array_agg(case when w.key is not null and not is_late then e.collapse_ms end order by w.n),
    bool_or(w.key is not null and (e.collapse_ms is not null or postrider.orders_batches(e)))
  into keys, waits, is_looked_at
  from unnest(endpoint_ids, ordering_keys) with ordinality as w (endpoint_id, key, n)
  left join postrider.endpoint e on e.id = w.endpoint_id;
  due_at := due;
  if array_remove(waits, null) <> '{}' then
    due_at := array(
      select greatest(w.due, now() + make_interval(secs => w.ms / 1000.0))
      from unnest(due, waits) with ordinality as w (due, ms, n) order by w.n);
  end if;
  if not is_late then
    has_turn := postrider.take_turns(tenant_ids, keys, endpoint_ids, positions, ids);
  end if;
  waiting := array(select w.id from unnest(ids, keys) as w (id, key) where w.key is not null and w.id <> all (has_turn));
  opened := postrider.open_deliveries(tenant_ids, event_ids, endpoint_ids,
    array(select case when w.id = any (waiting) then 'order' else w.reason end
          from unnest(ids, held_reasons) with ordinality as w (id, reason, n) order by w.n),
    due_at, trigger, 0, ids, keys,
    array(select case when w.key is not null then w.position end
          from unnest(keys, positions) with ordinality as w (key, position, n) order by w.n));
  if is_late and cardinality(waiting) > 0 then
    perform postrider.join_lines(waiting);
  elsif cardinality(waiting) > 0 then
    perform postrider.stand_in_line(waiting, tenant_ids, keys, endpoint_ids, positions, ids, due, due_at);
    if is_looked_at then
      perform postrider.enqueue_collapses(waiting, tenant_ids, keys, endpoint_ids, positions, ids,
        array(select case when w.due > now() then w.due end from unnest(due) with ordinality as w (due, n) order by w.n));
    end if;
  end if;
  return opened;
end
$$;
comment on function postrider.open_in_lines(uuid[], uuid[], uuid[], text[], timestamptz[], text[], bigint[], text, boolean) is
  'Stores deliveries as open_deliveries() does, of events with ordering keys and positions (null = none). is_late: of events that were published in an earlier transaction.';

create or replace function postrider.take_turns(
  tenant_ids uuid[], ordering_keys text[], endpoint_ids uuid[], positions bigint[], delivery_ids uuid[]
) returns uuid[]
language sql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  with new_line as (
    insert into postrider.ordering_line (tenant_id, ordering_key, endpoint_id, delivery_id, position, search_from)
    select distinct on (w.tenant_id, w.key, w.endpoint_id) w.tenant_id, w.key, w.endpoint_id, w.id, w.position, w.position
    from unnest(tenant_ids, ordering_keys, endpoint_ids, positions, delivery_ids) as w (tenant_id, key, endpoint_id, position, id)
    where w.key is not null
    order by w.tenant_id, w.key, w.endpoint_id, w.position
    on conflict (tenant_id, ordering_key, endpoint_id) do nothing
    returning delivery_id
  )
  select coalesce(array_agg(n.delivery_id), '{}') from new_line n
$$;
comment on function postrider.take_turns(uuid[], text[], uuid[], bigint[], uuid[]) is
  'Begins a line for each key that has none, and returns the deliveries that have their turn by that.';

-- The snapshot of a transaction in repeatable read may be older than the end of the line that it stands in.
create or replace function postrider.stand_in_line(
  waiting uuid[], tenant_ids uuid[], ordering_keys text[], endpoint_ids uuid[], positions bigint[], delivery_ids uuid[],
  not_before timestamptz[], due_at timestamptz[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  insert into postrider.ordering_place (endpoint_id, ordering_key, position, tenant_id, delivery_id, due_at, not_before)
  select w.endpoint_id, w.key, w.position, w.tenant_id, w.id, w.due_at, case when w.not_before > now() then w.not_before end
  from unnest(tenant_ids, ordering_keys, endpoint_ids, positions, delivery_ids, due_at, not_before)
    as w (tenant_id, key, endpoint_id, position, id, due_at, not_before)
  where w.id = any (waiting);
  if current_setting('transaction_isolation') <> 'read committed' then
    perform postrider.enqueue_advance(w.tenant_id, w.endpoint_id, w.key)
    from (select distinct t as tenant_id, k as key, e as endpoint_id
          from unnest(tenant_ids, ordering_keys, endpoint_ids) as u (t, k, e) where k is not null) as w;
  end if;
end
$$;
comment on function postrider.stand_in_line(uuid[], uuid[], text[], uuid[], bigint[], uuid[], timestamptz[], timestamptz[]) is
  'Gives those of the new deliveries that wait their places.';

create or replace function postrider.deliveries_in_line(delivery_ids uuid[]) returns setof postrider.delivery
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
  select d.* from postrider.delivery d
  where d.id = any (delivery_ids) and d.id between ids.min_id and ids.max_id and d.ordering_key is not null;
end
$$;
comment on function postrider.deliveries_in_line(uuid[]) is
  'Those of the deliveries that have an ordering key.';

create or replace function postrider.take_places(deliveries postrider.delivery[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  insert into postrider.ordering_place (endpoint_id, ordering_key, position, tenant_id, delivery_id, due_at, not_before)
  select d.endpoint_id, d.ordering_key, d.position, d.tenant_id, d.id, d.next_attempt_at,
    case when d.next_attempt_at > now() and postrider.has_its_time(d) then d.next_attempt_at end
  from unnest(deliveries) as d
  on conflict do nothing;
end
$$;
comment on function postrider.take_places(postrider.delivery[]) is
  'Gives deliveries that are held with reason order the places that they had.';

create or replace function postrider.leave_places(deliveries postrider.delivery[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  delete from postrider.ordering_place p using unnest(deliveries) as d
  where p.endpoint_id = d.endpoint_id and p.ordering_key = d.ordering_key and p.position = d.position;
end
$$;
comment on function postrider.leave_places(postrider.delivery[]) is
  'Takes away the places of these deliveries.';

create or replace function postrider.begin_lines(
  tenant_ids uuid[], ordering_keys text[], endpoint_ids uuid[], positions bigint[]
) returns void
language sql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  insert into postrider.ordering_line as l (tenant_id, ordering_key, endpoint_id, position, search_from)
  select w.tenant_id, w.key, w.endpoint_id, w.position, w.position
  from unnest(tenant_ids, ordering_keys, endpoint_ids, positions) as w (tenant_id, key, endpoint_id, position)
  order by w.tenant_id, w.key, w.endpoint_id
  on conflict (tenant_id, ordering_key, endpoint_id)
  do update set search_from = least(l.search_from, excluded.search_from)
$$;
comment on function postrider.begin_lines(uuid[], text[], uuid[], bigint[]) is
  'Begins lines (parallel arrays: tenant, ordering key, endpoint, first position), or has existing ones look for their next from there; waits for transactions that hold one.';

-- reach_lines: together first, and if somebody holds one of them, one by one, as busy_keys() does, which says why
-- lock_timeout is set here only.
create or replace function postrider.reach_lines(
  tenant_ids uuid[], ordering_keys text[], endpoint_ids uuid[], positions bigint[]
) returns boolean[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  wait_before constant text := current_setting('lock_timeout');
  reached boolean[] := array_fill(true, array[cardinality(tenant_ids)]);
begin
  perform set_config('lock_timeout', '10ms', true);
  begin
    perform postrider.begin_lines(tenant_ids, ordering_keys, endpoint_ids, positions);
  exception when lock_not_available then
    perform set_config('lock_timeout', '1ms', true);
    for nth in 1 .. cardinality(tenant_ids) loop
      begin
        perform postrider.begin_lines(tenant_ids[nth:nth], ordering_keys[nth:nth], endpoint_ids[nth:nth], positions[nth:nth]);
      exception when lock_not_available then
        reached[nth] := false;
      end;
    end loop;
  end;
  perform set_config('lock_timeout', wait_before, true);
  return reached;
end
$$;
comment on function postrider.reach_lines(uuid[], text[], uuid[], bigint[]) is
  'Begins lines as begin_lines() does, without waiting; says of each whether that was possible.';

-- Nobody has to be taken there, as a rule: the place of the first is in what the line looks at.
create or replace function postrider.reach_line(tenant uuid, endpoint uuid, ordering_key text) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  first_place bigint := (
    select p.position from postrider.ordering_place p
    where p.endpoint_id = reach_line.endpoint and p.ordering_key = reach_line.ordering_key
    order by p.position limit 1);
begin
  if first_place is null or exists (
    select from postrider.ordering_line l
    where l.tenant_id = tenant and l.ordering_key = reach_line.ordering_key and l.endpoint_id = reach_line.endpoint
      and l.search_from <= first_place)
  then
    return true;
  end if;
  return (postrider.reach_lines(array[tenant], array[ordering_key], array[endpoint], array[first_place]))[1];
end
$$;
comment on function postrider.reach_line(uuid, uuid, text) is
  'Takes the ones that wait for this key, and whose line a producer held when they came, to that line; false = somebody holds it still.';

-- join_lines: deliveries that were opened again, or late, which are held with reason order, take their places.
create or replace function postrider.join_lines(delivery_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  joining postrider.delivery[] := array(
    select d from postrider.deliveries_in_line(delivery_ids) as d where d.held_reason = 'order');
  joined record;
  reached boolean[];
begin
  perform postrider.take_places(joining);
  select array_agg(w.tenant_id) as tenants, array_agg(w.ordering_key) as keys, array_agg(w.endpoint_id) as endpoints,
    array_agg(w.first) as positions
  into joined
  from (
    select d.tenant_id, d.ordering_key, d.endpoint_id, min(d.position) as first
    from unnest(joining) as d group by 1, 2, 3 order by 1, 2, 3) as w;
  if joined.tenants is null then
    return;
  end if;
  reached := postrider.reach_lines(joined.tenants, joined.keys, joined.endpoints, joined.positions);
  perform postrider.advance_lines(array_agg(w.t), array_agg(w.k), array_agg(w.e))
  from unnest(joined.tenants, joined.keys, joined.endpoints, reached) as w (t, k, e, is_reached)
  where w.is_reached having count(*) > 0;
  perform postrider.enqueue_advance(w.t, w.e, w.k)
  from unnest(joined.tenants, joined.keys, joined.endpoints, reached) as w (t, k, e, is_reached)
  join postrider.endpoint n on n.id = w.e
  where not w.is_reached or postrider.orders_batches(n);
end
$$;
comment on function postrider.join_lines(uuid[]) is
  'Puts deliveries that are held with reason order into their lines, at the places that they had, and gives the turn to the first of each; an advance job does it for the ones whose line somebody holds.';

-- leave_lines: deliveries that have ended without an attempt, or are to block no longer.
create or replace function postrider.leave_lines(delivery_ids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  leaving postrider.delivery[] := array(
    select d from postrider.deliveries_in_line(delivery_ids) as d where d.finished_at is not null);
begin
  perform postrider.leave_places(leaving);
  perform postrider.advance_lines(array_agg(d.tenant_id), array_agg(d.ordering_key), array_agg(d.endpoint_id),
    passed => delivery_ids)
  from unnest(leaving) as d having count(*) > 0;
end
$$;
comment on function postrider.leave_lines(uuid[]) is
  'Takes finished deliveries out of their lines; failed ones among them block no longer.';

-- unblock_lines: no longer blocked from here on, also where the next one does not move at once: that is left to an advance
-- job, and the next call finds others.
create or replace function postrider.unblock_lines(endpoint uuid, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  blocked postrider.ordering_line[] := array(
    select l from postrider.ordering_line l
    where l.endpoint_id = unblock_lines.endpoint and l.blocked_at is not null
    limit batch for update skip locked);
begin
  update postrider.ordering_line l set blocked_at = null
  from unnest(blocked) as b
  where l.tenant_id = b.tenant_id and l.ordering_key = b.ordering_key and l.endpoint_id = b.endpoint_id;
  perform postrider.advance_lines(array_agg(b.tenant_id), array_agg(b.ordering_key), array_agg(b.endpoint_id))
  from unnest(blocked) as b having count(*) > 0;
  return cardinality(blocked);
end
$$;
comment on function postrider.unblock_lines(uuid, int) is
  'Has the blocked lines of an endpoint that has to skip, or orders no more, continue, a batch a call; returns how many.';

-- empty_lines: what waits is due, spread over time, or held for what holds its endpoint. Of a deleted endpoint it is
-- cancelled with the others.
create or replace function postrider.empty_lines(
  endpoint uuid, held_for text, is_deleted boolean, batch int, per_second numeric
) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  freed postrider.delivery[] := array(
    select d from postrider.delivery d
    where d.id = any (array(
      select p.delivery_id from postrider.ordering_place p where p.endpoint_id = empty_lines.endpoint
      order by p.ordering_key, p.position limit batch))
    order by d.id for update skip locked);
  waiting uuid[] := array(select d.id from unnest(freed) as d where d.held_reason = 'order' order by d.position);
begin
  perform postrider.leave_places(freed);
  if held_for is not null and not is_deleted then
    perform postrider.hold_deliveries(waiting, held_for);
  elsif not is_deleted then
    perform postrider.release_spread(waiting, per_second);
  end if;
  return cardinality(freed);
end
$$;
comment on function postrider.empty_lines(uuid, text, boolean, int, numeric) is
  'Takes what waits out of the lines of an endpoint that orders no more, a batch a call; returns how many deliveries.';

-- Who waits for newer events is due at once, since what is published next may have to wait for nobody. The rest is left to
-- 'replan' (endpoints/changed_limits.sql), 100 a second.
create or replace function postrider.note_changed_ordering() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.enqueue_endpoint_job('align', new.id, now());
  if new.collapse_ms is not null and old.collapse_ms is null then
    perform postrider.advance_waiting_lines(new.id, most => 1000);
  end if;
  if old.collapse_ms is not null and new.deleted_at is null then
    perform postrider.hasten_waiting(new.id, batch => 100);
  end if;
  return null;
end
$$;
comment on function postrider.note_changed_ordering() is
  'Trigger on endpoint: has what waits in its lines brought in line with how it orders now.';

create or replace trigger endpoint_ordering
after update of ordering, on_failure, collapse_ms, deleted_at on postrider.endpoint
for each row
when ((old.ordering = 'key' or old.collapse_ms is not null) and (new.ordering <> old.ordering
  or new.on_failure <> old.on_failure or new.collapse_ms is distinct from old.collapse_ms
  or new.deleted_at is distinct from old.deleted_at))
execute function postrider.note_changed_ordering();

-- stuck_lines: lines that nothing will move, and deliveries that wait in none.
--
-- Cost: a pass over the lines and those that wait, an index probe each.
create or replace function postrider.stuck_lines(older_than interval)
returns table (tenant_id uuid, ordering_key text, endpoint_id uuid, delivery_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  select l.tenant_id, l.ordering_key, l.endpoint_id, l.delivery_id,
    format('the turn of key %s of endpoint %s has ended, and the next one does not move', l.ordering_key, l.endpoint_id)
  from postrider.ordering_line l
  join postrider.endpoint e on e.id = l.endpoint_id
  left join lateral (select d.* from postrider.delivery d where d.id = l.delivery_id limit 1) as d on true
  where (l.blocked_at is null or not postrider.blocks_others(e)) and l.moved_at < now() - older_than
    and (d.id is null or d.held_reason = 'order'
      or (d.finished_at < now() - older_than and d.claim is null)
      or (e.collapse_ms is not null and d.state in ('pending', 'held') and exists (
        select from postrider.ordering_place p
        where p.endpoint_id = l.endpoint_id and p.ordering_key = l.ordering_key and p.position > l.position
          and greatest(p.due_at, p.not_before) < now() - older_than)))
    and exists (
      select from postrider.ordering_place p where p.endpoint_id = l.endpoint_id and p.ordering_key = l.ordering_key);

  return query
  select d.tenant_id, d.ordering_key, d.endpoint_id, d.id,
    format('delivery %s waits for key %s of endpoint %s, which has no line', d.id, d.ordering_key, d.endpoint_id)
  from postrider.delivery d
  where d.finished_at is null and d.held_reason = 'order' and d.created_at < now() - older_than
    and (not exists (
        select from postrider.ordering_place p
        where p.endpoint_id = d.endpoint_id and p.ordering_key = d.ordering_key and p.position = d.position)
      or not exists (
        select from postrider.ordering_line l
        where l.tenant_id = d.tenant_id and l.ordering_key = d.ordering_key and l.endpoint_id = d.endpoint_id));
end
$$;
comment on function postrider.stuck_lines(interval) is
  'Ordering keys that nothing moves: the delivery that had its turn has ended so long ago, or a delivery waits in no line.';

create or replace function postrider.advance_stuck_lines(older_than interval, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  stuck record;
begin
  select array_agg(s.tenant_id) as tenants, array_agg(s.ordering_key) as keys, array_agg(s.endpoint_id) as endpoints,
    array_agg(s.delivery_id) filter (where s.delivery_id is not null) as deliveries
  into stuck
  from (select * from postrider.stuck_lines(older_than) limit batch) as s;
  if stuck.tenants is null then
    return 0;
  end if;
  perform postrider.join_lines(stuck.deliveries);
  perform postrider.advance_lines(stuck.tenants, stuck.keys, stuck.endpoints);
  return cardinality(stuck.tenants);
end
$$;
comment on function postrider.advance_stuck_lines(interval, int) is
  'Moves the lines of stuck_lines(); returns how many it found.';
