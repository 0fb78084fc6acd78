-- What people do about ordering keys: look at lines, retry or skip the event that has its turn, skip up to an event, and
-- release an endpoint from ordering.

create or replace view postrider.line_state as
select l.tenant_id, t.key as tenant_key, l.endpoint_id, l.ordering_key, l.blocked_at,
  case when l.blocked_at is not null then 'blocked' when d.state = 'held' then 'held' else 'moving' end as state,
  l.delivery_id, d.event_id, d.state as delivery_state, d.held_reason, d.next_attempt_at,
  (select count(*)::int from (
    select from postrider.ordering_place p
    where p.endpoint_id = l.endpoint_id and p.ordering_key = l.ordering_key limit 10000) as w) as waiting,
  n.delivery_id as next_delivery_id, nd.event_id as next_event_id,
  a.id as last_attempt_id, a.finished_at as last_attempt_at, a.status_code as last_status_code, a.error as last_error
from postrider.ordering_line l
join postrider.tenant t on t.id = l.tenant_id
left join lateral (
  select d.* from postrider.delivery d where d.id = l.delivery_id limit 1) as d on true
left join lateral (
  select p.delivery_id from postrider.ordering_place p
  where p.endpoint_id = l.endpoint_id and p.ordering_key = l.ordering_key and p.position >= l.search_from
  order by p.position limit 1) as n on true
left join lateral (
  select d.event_id from postrider.delivery d where d.id = n.delivery_id limit 1) as nd on true
left join lateral (
  select a.id, a.finished_at, a.status_code, a.error from postrider.attempt a
  where a.delivery_id = l.delivery_id and a.id >= postrider.id_floor(l.delivery_id) and a.outcome <> 'started'
  order by a.id desc limit 1) as a on true;
comment on view postrider.line_state is
  'Ordering keys with open deliveries, a row an endpoint: what has its turn, what comes next, and how many wait. Cost: some index probes a row, and a count of 10,000 at most.';
comment on column postrider.line_state.tenant_id is 'Owner.';
comment on column postrider.line_state.tenant_key is 'Key of the tenant.';
comment on column postrider.line_state.endpoint_id is 'To whom.';
comment on column postrider.line_state.ordering_key is 'The ordering key.';
comment on column postrider.line_state.blocked_at is 'Since when the others wait for a person, because the one that has its turn has failed; null = they do not.';
comment on column postrider.line_state.state is 'blocked (waits for a person), held (the endpoint accepts no work) or moving.';
comment on column postrider.line_state.delivery_id is 'The delivery that has its turn.';
comment on column postrider.line_state.event_id is 'Its event.';
comment on column postrider.line_state.delivery_state is 'Its state.';
comment on column postrider.line_state.held_reason is 'Why it is held; null = it is not.';
comment on column postrider.line_state.next_attempt_at is 'When its next attempt is due; null when there is none.';
comment on column postrider.line_state.waiting is 'How many wait behind it; 10,000 = at least.';
comment on column postrider.line_state.next_delivery_id is 'The delivery that comes next; null = none waits.';
comment on column postrider.line_state.next_event_id is 'Its event.';
comment on column postrider.line_state.last_attempt_id is 'The last attempt of the delivery that has its turn.';
comment on column postrider.line_state.last_attempt_at is 'When it ended.';
comment on column postrider.line_state.last_status_code is 'Status of the response; null when there was none.';
comment on column postrider.line_state.last_error is 'What went wrong, in words.';

-- The delivery is locked before its line, as everywhere.
create or replace function postrider.lock_head(endpoint uuid, ordering_key text) returns postrider.delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  head uuid;
  locked postrider.delivery;
begin
  for tries in 1..10 loop
    select l.delivery_id into head from postrider.ordering_line l
    join postrider.endpoint e on e.id = lock_head.endpoint and e.tenant_id = l.tenant_id
    where l.ordering_key = lock_head.ordering_key and l.endpoint_id = lock_head.endpoint and postrider.in_scope(l.tenant_id);
    exit when head is null;
    if head = locked.id then
      return locked;
    end if;
    locked := postrider.lock_delivery(head);
  end loop;
  raise exception 'no event of key % is open for endpoint %', ordering_key, endpoint using errcode = 'P0002',
    hint = 'Keys with open events are in postrider.line_state.';
end
$$;
comment on function postrider.lock_head(uuid, text) is
  'The delivery that has its turn, locked until the end of the transaction; raises P0002 when there is none.';

create or replace function postrider.retry_head(endpoint uuid, ordering_key text, who text default session_user)
returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  head postrider.delivery := postrider.lock_head(endpoint, ordering_key);
begin
  return postrider.retry_now(head.id, who);
end
$$;
comment on function postrider.retry_head(uuid, text, text) is
  'Retries the delivery of an ordering key that has its turn, as retry_now() does; when it succeeds, the next one follows.';

create or replace function postrider.end_turn(head postrider.delivery) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if head.finished_at is null then
    return postrider.end_delivery(head);
  end if;
  perform postrider.leave_lines(array[head.id]);
  return false;
end
$$;
comment on function postrider.end_turn(postrider.delivery) is
  'Takes the turn from a delivery, which is locked: an open one is cancelled. Returns whether a request can be on the wire.';

create or replace function postrider.skip_head(endpoint uuid, ordering_key text, who text default session_user)
returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  head postrider.delivery := postrider.lock_head(endpoint, ordering_key);
  on_the_wire boolean := postrider.end_turn(head);
begin
  perform postrider.audit(who, 'skip_head', 'endpoint', endpoint::text, head.tenant_id,
    jsonb_build_object('orderingKey', ordering_key, 'delivery', head.id, 'stateBefore', head.state));
  return case
    when on_the_wire then 'it is cancelled; a request may be on the wire, and its key goes on when that has ended'
    when head.finished_at is null then 'it is cancelled, and its key goes on'
    else format('it stays %s, and its key goes on', head.state) end;
end
$$;
comment on function postrider.skip_head(uuid, text, text) is
  'The delivery of an ordering key that has its turn loses it, and the next one follows: an open one is cancelled, a failed one stays failed. One that is on the wire keeps the turn until its attempt has ended.';

-- skip_to: the head goes last, so that none of those that are skipped gets a turn.
create or replace function postrider.skip_to(
  endpoint uuid, ordering_key text, event uuid, who text default session_user, batch int default 500
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  head postrider.delivery := postrider.lock_head(endpoint, ordering_key);
  target postrider.delivery;
  skipped uuid[];
begin
  select d.* into target from postrider.delivery d
  where d.event_id = skip_to.event and d.endpoint_id = skip_to.endpoint and d.id >= postrider.id_floor(skip_to.event)
    and d.ordering_key = skip_to.ordering_key and d.held_reason = 'order';
  if target.id is null then
    raise exception 'event % does not wait for key % of endpoint %', event, ordering_key, endpoint using errcode = 'P0002',
      hint = 'Give an event of which the delivery is held with reason order.';
  end if;
  skipped := array(
    select d.id from postrider.delivery d
    where d.id = any (array(
      select p.delivery_id from postrider.ordering_place p
      where p.endpoint_id = skip_to.endpoint and p.ordering_key = skip_to.ordering_key and p.position < target.position
      order by p.position limit batch))
    order by d.id for update);
  perform postrider.cancel_deliveries(skipped);
  perform postrider.leave_lines(skipped);
  perform postrider.audit(who, 'skip_to', 'endpoint', endpoint::text, head.tenant_id,
    jsonb_build_object('orderingKey', ordering_key, 'event', event, 'skipped', cardinality(skipped)));
  if cardinality(skipped) = batch then
    return batch;
  end if;
  if head.position < target.position then
    perform postrider.end_turn(head);
  end if;
  return 0;
end
$$;
comment on function postrider.skip_to(uuid, text, uuid, text, int) is
  'Skips everything of an ordering key that comes before this event, a batch a call: waiting deliveries are cancelled, then the one that has its turn is skipped as by skip_head(). Call it until it returns 0.';

create or replace function postrider.release_ordering(endpoint uuid, who text default session_user) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  who_before constant text := current_setting('postrider.who', true);
  target postrider.endpoint := postrider.lock_endpoint(endpoint);
begin
  -- The trigger on endpoint writes the row of audit_log.
  perform set_config('postrider.who', coalesce(who, session_user), true);
  update postrider.endpoint e set ordering = 'none', updated_at = now()
  where e.id = endpoint and target.ordering <> 'none';
  perform set_config('postrider.who', coalesce(who_before, ''), true);
  perform postrider.align(endpoint);
  return (select count(*)::int from (
    select from postrider.ordering_place p where p.endpoint_id = release_ordering.endpoint limit 10000) as w);
end
$$;
comment on function postrider.release_ordering(uuid, text) is
  'Sends events of an endpoint in no particular order; what waits is due, spread over time. Returns how many wait still (10,000 = at least), which follow automatically.';
