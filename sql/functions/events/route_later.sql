-- route_next: ask endpoints that publish left out, because their filters were too costly (postrider.unrouted).
--
-- A call asks some endpoints of one event, for some 100 ms by estimate and one filter at least, makes their deliveries, and
-- takes them off the list, in one transaction: a runner that is killed costs nothing, and no pair is decided twice.
-- The caller goes from tenant to tenant, so that the backlog of one delays no other's.
--
-- An endpoint that is gone or disabled by now gets nothing; nor does one whose event was erased or dropped.
--
-- Locks: the row of the list (skipped where another runner has it), and the endpoints, as replays do, so that
--        both do not find the same delivery missing.
create or replace function postrider.next_unrouted(after uuid) returns postrider.unrouted
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  found_row postrider.unrouted;
begin
  select u.* into found_row from postrider.unrouted u
  where u.tenant_id > after
  order by u.tenant_id, u.event_id limit 1 for update skip locked;
  return found_row;
end
$$;
comment on function postrider.next_unrouted(uuid) is
  'The oldest event that waits for its filters, of the first tenant behind this one that has any; locked.';

create or replace function postrider.route_next(after uuid) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  us_a_call constant float8 := 100000;
  waiting postrider.unrouted := postrider.next_unrouted(after);
  published record;
  asked int;
begin
  if waiting.event_id is null then
    return null;
  end if;
  select ev.data, ev.deliver_at, postrider.value_count(ev.data::text) as value_count into published
  from postrider.event ev
  join postrider.tenant t on t.id = ev.tenant_id and t.deletion_started_at is null
  where ev.id = waiting.event_id and ev.data is not null;

  select count(*) into asked
  from (
    select w.nth, sum(w.us) over (order by w.nth) as us
    from (
      select u.nth, case when e.filter = lag(e.filter) over (order by u.nth) then 0
        else coalesce(postrider.filter_us(e.filter, published.value_count), 0) end as us
      from unnest(waiting.endpoint_ids) with ordinality as u (id, nth)
      left join postrider.endpoint e on e.id = u.id and postrider.takes_events(e.*)
    ) as w
  ) as s
  where s.nth = 1 or s.us <= us_a_call;
  if published.data is not null then
    perform postrider.deliver_to_those_who_pass(waiting, asked, published.data::jsonb, published.deliver_at);
    update postrider.unrouted u set endpoint_ids = waiting.endpoint_ids[asked + 1:]
    where u.tenant_id = waiting.tenant_id and u.event_id = waiting.event_id
      and asked < cardinality(waiting.endpoint_ids);
  end if;
  if published.data is null or asked = cardinality(waiting.endpoint_ids) then
    delete from postrider.unrouted u where u.tenant_id = waiting.tenant_id and u.event_id = waiting.event_id;
  end if;
  return waiting.tenant_id;
end
$$;
comment on function postrider.route_next(uuid) is
  'Asks the filters of some endpoints that publish left out, of the tenant that comes behind this one; returns it, or null when none is left behind it.';

create or replace function postrider.deliver_to_those_who_pass(
  waiting postrider.unrouted, asked int, document jsonb, deliver_at timestamptz
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ordered record;
  opened uuid[];
begin
  select ev.ordering_key as key, ev.position into ordered from postrider.event ev where ev.id = waiting.event_id;
  perform from postrider.endpoint e where e.id = any (waiting.endpoint_ids[:asked]) order by e.id for no key update;
  with answered as materialized (
    select w.endpoint_ids, postrider.passes_filter(w.filter, document) as passes
    from (
      select e.filter, array_agg(e.id) as endpoint_ids
      from postrider.endpoint e
      where e.id = any (waiting.endpoint_ids[:asked]) and postrider.takes_events(e.*)
      group by e.filter
      offset 0
    ) as w
  ),
  passing as (
    select e.id, postrider.held_for(e, t, c, false) as held_reason
    from answered a
    cross join lateral unnest(a.endpoint_ids) as passed (id)
    join postrider.endpoint e on e.id = passed.id
    join postrider.tenant t on t.id = e.tenant_id
    left join postrider.circuit c on c.endpoint_id = e.id
    where a.passes and not exists (
      select from postrider.delivery d
      where d.event_id = waiting.event_id and d.endpoint_id = e.id and d.id >= postrider.id_floor(waiting.event_id))
  )
  select postrider.open_in_lines(array_agg(waiting.tenant_id), array_agg(waiting.event_id), array_agg(p.id),
    array_agg(p.held_reason), array_agg(coalesce(deliver_to_those_who_pass.deliver_at, now())),
    array_agg(ordered.key), array_agg(ordered.position), is_late => true)
  into opened
  from passing p;
end
$$;
comment on function postrider.deliver_to_those_who_pass(postrider.unrouted, int, jsonb, timestamptz) is
  'Deliveries and jobs for those of the first so many waiting endpoints of an event whose filter it passes.';

create or replace function postrider.postpone_routing(after uuid) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  waiting postrider.unrouted := postrider.next_unrouted(after);
begin
  update postrider.unrouted u set endpoint_ids = waiting.endpoint_ids[2:] || waiting.endpoint_ids[:1]
  where u.tenant_id = waiting.tenant_id and u.event_id = waiting.event_id;
  return waiting.tenant_id;
end
$$;
comment on function postrider.postpone_routing(uuid) is
  'Puts the endpoint that route_next would ask first behind the others of its event, after asking it took too long; returns the tenant.';
