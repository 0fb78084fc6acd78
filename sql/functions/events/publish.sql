-- publish_many: store events, their deliveries and jobs; one transaction with the caller's.
--
-- Takes a JSON array of {tenant, type, data, idempotencyKey?, deliverAt?, occurredAt?, orderingKey?, channels?, traceparent?,
-- tracestate?}; of the service itself also asSvix (event.as_svix), svix (event.svix) and eraseAt (event_erasure.erase_at).
-- Those of the service are unknown to it from others: who is neither the owner nor a member of postrider_api. An item with an
-- unknown member is refused, as its key or its time would be lost otherwise (idempotency_key for idempotencyKey).
-- A refused item stores nothing and carries its error code; its neighbours are stored anyway. Where an object names
-- a member twice the last one counts, as in JSON.parse.
--
-- Locks: the entries of the items' idempotency keys until the caller commits, taken in (tenant, key)
--        order. A session that must not wait for another producer's open transaction sets
--        postrider.key_wait, such as '200ms'; a key that is still busy then raises 55P03, with the numbers
--        of its items in DETAIL, or with postrider.busy_keys = 'report' is an error of these items alone.
--        Before them the ordering keys, likewise: see hold_ordering_keys().
-- Cost:  per event one row, one index probe a pattern of its type, one delivery and one job per match.
--        Planned once a session (force_generic_plan), which by itself Postgres does only sometimes: it
--        compares costs that it estimates, and planning took 3 ms.
--
-- Settings: publish and publish_many have those of all that every event passes through, down to open_deliveries();
--        what others call as well gets them from its caller. Each call of a function with its own settings sets
--        them and sets them back, 2 to 6 us each and the most for search_path, which was a quarter of a publish.

create or replace function postrider.try_timestamptz(value text) returns timestamptz
language plpgsql stable strict
set search_path = pg_catalog, pg_temp
as $$
begin
  return case when value::timestamptz between '0001-01-01Z' and '9999-12-31Z' then value::timestamptz end;
exception when data_exception then
  return null;
end
$$;
comment on function postrider.try_timestamptz(text) is
  'The text as a time, or null where it is none that the body of a webhook can state (years 1 to 9999).';

-- Called for events that have channels only. A loop, as it costs less than a query would.
create or replace function postrider.event_channels(given json) returns text[]
language plpgsql immutable strict
set search_path = pg_catalog, pg_temp
as $$
declare
  channels_max constant int := 5;
  channels text[] := '{}';
  channel json;
begin
  if json_typeof(given) <> 'array' or json_array_length(given) not between 1 and channels_max then
    return null;
  end if;
  foreach channel in array array(select json_array_elements(given)) loop
    if json_typeof(channel) <> 'string' or channel #>> '{}' !~ '^[A-Za-z0-9._-]{1,128}$' then
      return null;
    end if;
    channels := channels || (channel #>> '{}');
  end loop;
  return channels;
end
$$;
comment on function postrider.event_channels(json) is
  'The channels that an event is published to, a JSON array of 1 to 5 names; null where it is none.';

create or replace function postrider.is_of_service() returns boolean
language sql stable
return pg_has_role(postrider.caller(), current_user, 'usage')
  or coalesce(pg_has_role(postrider.caller(), to_regrole('postrider_api'), 'usage'), false);
comment on function postrider.is_of_service() is
  'Whether the service itself calls what has its owner''s rights: the owner or a member of postrider_api.';

-- The service's own: tenants whose key begins with 'postrider:', and types that begin with 'postrider.'. Only it
-- publishes those, so that what an operational event says can be relied on.
--
-- Each item is parsed by itself as well: as jsonb for what filters ask and for the names of all its members (of the whole text
-- as jsonb, a batch took a quarter longer), and for data that is a string, which a record would hold in another spelling
-- ("a\/b" as "a/b"). Offset, so that this is done once.
create or replace function postrider.parse_publish_items(events json, by_service boolean)
returns postrider.publish_item[]
language plpgsql volatile
as $$
declare
  known constant text[] := array[
    'tenant', 'type', 'data', 'idempotencyKey', 'deliverAt', 'occurredAt', 'orderingKey', 'channels', 'traceparent', 'tracestate'];
  of_service constant text[] := array['asSvix', 'svix', 'eraseAt'];
  -- A character that is not one of src/hidden-characters.ts, which also says where one of them is a part of what people see.
  visible constant text := '[^[:space:]\u0085\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f'
    || '\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]';
begin
  return (
  select coalesce(array_agg(row(
      ordinal, postrider.uuidv7(), t.id, i.type, d.data, d.item -> 'data',
      i."idempotencyKey", postrider.try_timestamptz(i."deliverAt"),
      postrider.try_timestamptz(i."occurredAt"),
      false,
      case
        when d.item - known <> '{}'
          and (d.item - known - of_service <> '{}' or not (by_service or postrider.is_of_service())) then 'member_unknown'
        when i.tenant is null then 'tenant_missing'
        when starts_with(i.tenant, 'postrider:') and not by_service then 'tenant_reserved'
        when t.id is null then 'tenant_not_found'
        when t.deletion_started_at is not null then 'tenant_deleting'
        when t.suspended_at is not null then 'tenant_suspended'
        when i.type is null then 'type_missing'
        when i.type !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' or length(i.type) > 128 then 'type_invalid'
        when starts_with(i.type, 'postrider.') and not by_service then 'type_reserved'
        when i.data is null then 'data_missing'
        when octet_length(d.data::text) > 1048576 then 'data_too_large'
        when length(i."idempotencyKey") not between 1 and 255 then 'idempotency_key_invalid'
        when i."deliverAt" is not null and postrider.try_timestamptz(i."deliverAt") is null then 'deliver_at_invalid'
        when postrider.try_timestamptz(i."deliverAt") > now() + interval '30 days' then 'deliver_at_too_far'
        when i."occurredAt" is not null and postrider.try_timestamptz(i."occurredAt") is null then 'occurred_at_invalid'
        when length(i."orderingKey") not between 1 and 255
          or i."orderingKey" in ('.', '..') or i."orderingKey" !~ visible or i."orderingKey" ~ '[[:cntrl:]]' then 'ordering_key_invalid'
        when i.channels is not null and postrider.event_channels(i.channels) is null then 'channels_invalid'
      end,
      i."orderingKey", null,
      case when i.channels is not null then postrider.event_channels(i.channels) end, i."asSvix", i.svix::jsonb,
      postrider.try_timestamptz(i."eraseAt"))::postrider.publish_item order by ordinal), '{}')
  from rows from (json_to_recordset(events) as (
      tenant text, type text, data json, "idempotencyKey" text, "deliverAt" text, "occurredAt" text, "orderingKey" text,
      channels json, "asSvix" boolean, svix json, "eraseAt" text),
      json_array_elements(events))
    with ordinality as i (
      tenant, type, data, "idempotencyKey", "deliverAt", "occurredAt", "orderingKey", channels, "asSvix", svix, "eraseAt",
      written, ordinal)
  cross join lateral (
    select case when json_typeof(i.data) = 'string' then i.written -> 'data' else i.data end as data,
      i.written::jsonb as item offset 0
  ) as d
  left join postrider.tenant t on t.key = i.tenant and postrider.in_scope(t.id));
end
$$;
comment on function postrider.parse_publish_items(json, boolean) is
  'The items of publish_many, parsed and checked. by_service: the service itself publishes, also for reserved tenants and types. Raises when one holds what jsonb cannot.';

-- An exception handler for each item costs more than the rest of publish (a subtransaction each), so
-- publish_many parses the whole batch at once and comes here only when that failed.
create or replace function postrider.parse_publish_items_one_by_one(events json, by_service boolean)
returns postrider.publish_item[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  items postrider.publish_item[] := '{}';
  parsed postrider.publish_item;
  event json;
begin
  for event in select * from json_array_elements(events) loop
    begin
      parsed := (postrider.parse_publish_items(json_build_array(event), by_service))[1];
    exception when data_exception or program_limit_exceeded then
      parsed := null;
      parsed.error := case json_typeof(event) when 'object' then 'data_unsupported' else 'event_invalid' end;
    end;
    parsed.ordinal := cardinality(items) + 1;
    items := items || parsed;
  end loop;
  return items;
end
$$;
comment on function postrider.parse_publish_items_one_by_one(json, boolean) is
  'The same, item by item: finds which of them hold what jsonb cannot (\u0000, lone surrogates, numbers out of range, too deep).';

-- A key that is taken and still valid is left alone, so that repeats of it wait for nobody, and change nothing.
-- One that expired is taken over. Keys in order, otherwise two batches wait for each other.
create or replace function postrider.take_idempotency_keys(items postrider.publish_item[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  insert into postrider.idempotency as k (tenant_id, key, event_id, request_hash, expires_at)
  select tenant_id, idempotency_key, event_id, postrider.request_hash(i), now() + interval '7 days'
  from (select distinct on (u.tenant_id, u.idempotency_key) u as i, u.*
        from unnest(items) as u
        where u.error is null and u.idempotency_key is not null
        order by u.tenant_id, u.idempotency_key, u.ordinal) as first_of_key
  where not exists (
    select from postrider.idempotency taken
    where taken.tenant_id = first_of_key.tenant_id and taken.key = first_of_key.idempotency_key
      and taken.expires_at > now())
  order by tenant_id, idempotency_key
  on conflict (tenant_id, key) do update
  set event_id = excluded.event_id, request_hash = excluded.request_hash, expires_at = excluded.expires_at
  where k.expires_at <= now();
end
$$;
comment on function postrider.take_idempotency_keys(postrider.publish_item[]) is
  'Stores the idempotency keys of the items, the ones that are new or have expired; waits for transactions that hold one.';

create or replace function postrider.take_keys(items postrider.publish_item[], is_ordering boolean) returns void
language plpgsql
as $$
begin
  if is_ordering then
    perform postrider.lock_ordering_keys(items);
  else
    perform postrider.take_idempotency_keys(items);
  end if;
end
$$;
comment on function postrider.take_keys(postrider.publish_item[], boolean) is
  'Takes the ordering keys of the items, or their idempotency keys; waits for transactions that hold one.';

-- Together first, for as long as `wait` says. If that was too short, one by one without waiting: so the others
-- get theirs, and it is known which are held. lock_timeout is set only here: a session's would also end commits
-- that queue for the lock of NOTIFY, which lasts as long as the commit before it (seen: 180 ms on a slow disk).
create or replace function postrider.busy_keys(items postrider.publish_item[], wait text, is_ordering boolean) returns int[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  wait_before constant text := current_setting('lock_timeout');
  item postrider.publish_item;
  busy int[] := '{}';
begin
  perform set_config('lock_timeout', wait, true);
  begin
    perform postrider.take_keys(items, is_ordering);
  exception when lock_not_available then
    perform set_config('lock_timeout', '1ms', true);
    for item in
      select * from unnest(items) as i
      where i.error is null and i.duplicate is not true
        and case when is_ordering then i.ordering_key else i.idempotency_key end is not null
      order by i.tenant_id, case when is_ordering then i.ordering_key else i.idempotency_key end, i.ordinal
    loop
      begin
        perform postrider.take_keys(array[item], is_ordering);
      exception when lock_not_available then
        busy := busy || item.ordinal;
      end;
    end loop;
  end;
  perform set_config('lock_timeout', wait_before, true);
  return busy;
end
$$;
comment on function postrider.busy_keys(postrider.publish_item[], text, boolean) is
  'Takes the idempotency or ordering keys of the items, waiting no longer than this; returns the numbers of the items whose key somebody holds.';

-- Without settings: see the head of this file.
create or replace function postrider.take_keys_in_time(items postrider.publish_item[], is_ordering boolean) returns int[]
language plpgsql
as $$
declare
  wait constant text := nullif(current_setting('postrider.key_wait', true), '');
  busy int[] := '{}';
begin
  if wait is null then
    perform postrider.take_keys(items, is_ordering);
    return busy;
  end if;
  busy := postrider.busy_keys(items, wait, is_ordering);
  if busy <> '{}' and current_setting('postrider.busy_keys', true) is distinct from 'report' then
    raise exception '%: an open transaction is publishing with the same key',
      case when is_ordering then 'ordering_key_busy' else 'idempotency_key_busy' end
      using errcode = '55P03', detail = array_to_json(busy), hint = 'Try again when it has ended.',
        column = case when is_ordering then 'orderingKey' else 'idempotencyKey' end;
  end if;
  return busy;
end
$$;
comment on function postrider.take_keys_in_time(postrider.publish_item[], boolean) is
  'Takes the ordering keys of the items, or their idempotency keys, and waits as long as postrider.key_wait says; returns the numbers of the items whose key is busy, or raises 55P03 where the session does not have them reported.';

-- A key that is still valid keeps its event, and the item becomes a duplicate of it, or an error when the
-- request differs; but not where it is published through the Svix-compatible API, whose keys stand for any body.
create or replace function postrider.reserve_idempotency_keys(items postrider.publish_item[])
returns postrider.publish_item[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  busy constant int[] := postrider.take_keys_in_time(items, is_ordering => false);
begin
  items := array(
    select row(i.ordinal, coalesce(k.event_id, i.event_id), i.tenant_id, i.type, i.data, i.document,
               i.idempotency_key, i.deliver_at, i.occurred_at,
               k.event_id <> i.event_id and (i.as_svix or k.request_hash = postrider.request_hash(i)),
               case
                 when i.ordinal = any (busy) then 'idempotency_key_busy'
                 when k.event_id <> i.event_id and i.as_svix is not true and k.request_hash <> postrider.request_hash(i)
                   then 'idempotency_key_reused'
                 else i.error
               end, i.ordering_key, i.position, i.channels, i.as_svix, i.svix, i.erase_at)::postrider.publish_item
    from unnest(items) as i
    left join postrider.idempotency k
      on i.error is null and k.tenant_id = i.tenant_id and k.key = i.idempotency_key
    order by i.ordinal);
  if exists (select from unnest(items) as i where i.duplicate) then
    perform postrider.wait_for_what_was_read();
  end if;
  return items;
end
$$;
comment on function postrider.reserve_idempotency_keys(postrider.publish_item[]) is
  'Takes the idempotency keys of a batch; the items come back marked as duplicates (whose events are on the standbys then), with idempotency_key_reused where a key was taken, or idempotency_key_busy.';

-- Times count as the producer gave them: without one, occurred_at is that of the clock, which a repeat does
-- not share, and it is filled in only when the event is stored.
create or replace function postrider.request_hash(item postrider.publish_item) returns bytea
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select sha256(convert_to(concat_ws(e'\x01', item.type, item.document::text,
    coalesce(extract(epoch from item.deliver_at)::text, ''),
    coalesce(extract(epoch from item.occurred_at)::text, ''), 'key ' || item.ordering_key,
    'channels ' || array_to_string(item.channels, ' ')), 'UTF8'))
$$;
comment on function postrider.request_hash(postrider.publish_item) is
  'SHA-256 over type, data (as jsonb: spacing and key order do not matter), and the times, the ordering key and the channels that were given.';

-- hold_ordering_keys: lock the ordering keys of the items until the transaction ends; place_items() then gives each its
-- place, while the locks are held.
--
-- A producer that publishes with a key waits here until the transaction before has ended, so that the order of positions is
-- that of commits; others wait for nobody. Keys are locked in the order of their bytes, those of a tenant after those of
-- the tenants whose key is lower: an order that producers know, so that two calls cannot deadlock. A transaction that
-- publishes several keys in several calls has to make the calls in this order, as the trigger of an attached table does
-- (attached_batches), or Postgres ends one of two such transactions as a deadlock (40P01).
--
-- Before the idempotency keys: an item that is refused here must not have stored one, or its repeat would be told the id of
-- an event that is not there.
--
-- A row that exists is locked and not written, but for the first use a day. With key_wait the wait is bounded as
-- that for idempotency keys is.
create or replace function postrider.hold_ordering_keys(items postrider.publish_item[])
returns postrider.publish_item[]
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  busy constant int[] := postrider.take_keys_in_time(items, is_ordering => true);
  nth int;
begin
  foreach nth in array busy loop
    items[nth].error := 'ordering_key_busy';
  end loop;
  return items;
end
$$;
comment on function postrider.hold_ordering_keys(postrider.publish_item[]) is
  'Locks the ordering keys of these items until the end of the transaction; items whose key somebody holds come back with ordering_key_busy.';

create or replace function postrider.place_items(items postrider.publish_item[])
returns postrider.publish_item[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select row(i.ordinal, i.event_id, i.tenant_id, i.type, i.data, i.document, i.idempotency_key, i.deliver_at,
      i.occurred_at, i.duplicate, i.error, i.ordering_key,
      case when i.is_placed then nextval('postrider.event_position') end,
      i.channels, i.as_svix, i.svix, i.erase_at)::postrider.publish_item
    from (
      select u.*, u.ordering_key is not null and u.error is null and u.duplicate is not true as is_placed
      from unnest(items) as u order by u.ordinal offset 0
    ) as i);
end
$$;
comment on function postrider.place_items(postrider.publish_item[]) is
  'Gives the items their positions, in order; their ordering keys are locked.';

create or replace function postrider.lock_ordering_keys(items postrider.publish_item[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  insert into postrider.ordering_lock as l (tenant_id, ordering_key)
  select k.tenant_id, k.ordering_key
  from (
    select distinct i.tenant_id, i.ordering_key
    from unnest(items) as i
    where i.ordering_key is not null and i.error is null and i.duplicate is not true
  ) as k
  join postrider.tenant t on t.id = k.tenant_id
  order by t.key collate "C", k.ordering_key collate "C"
  on conflict (tenant_id, ordering_key) do update set used_on = excluded.used_on
  where l.used_on <> excluded.used_on;
end
$$;
comment on function postrider.lock_ordering_keys(postrider.publish_item[]) is
  'Locks the ordering keys of the items until the end of the transaction; waits for transactions that hold one.';

create or replace function postrider.plan_erasures(items postrider.publish_item[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into postrider.event_erasure (event_id, tenant_id, erase_at)
  select i.event_id, i.tenant_id, i.erase_at from unnest(items) as i
  where i.error is null and not coalesce(i.duplicate, false) and i.erase_at is not null;
end
$$;
comment on function postrider.plan_erasures(postrider.publish_item[]) is
  'Notes when the data of these new events is to be erased.';

create or replace function postrider.leave_unrouted(tenant_ids uuid[], event_ids uuid[], endpoint_ids uuid[])
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into postrider.unrouted (tenant_id, event_id, endpoint_ids)
  select u.tenant_id, u.event_id, array_agg(u.endpoint_id)
  from unnest(tenant_ids, event_ids, leave_unrouted.endpoint_ids) as u (tenant_id, event_id, endpoint_id)
  group by u.tenant_id, u.event_id;
end
$$;
comment on function postrider.leave_unrouted(uuid[], uuid[], uuid[]) is
  'Notes whose filters runners are to ask later (parallel arrays of a new event and an endpoint: see route_items).';

-- store_events: what publish_many does, and what the service itself publishes. With the rights of who calls it, and
-- granted to nobody, unlike publish_many.
create or replace function postrider.store_events(events json, by_service boolean)
returns table (ordinal int, event_id uuid, deliveries int, duplicate boolean, error text)
language plpgsql
as $$
#variable_conflict use_column
declare
  items postrider.publish_item[];
  traceparents text[];
  tracestates text[];
  is_keyed boolean;
  is_once boolean;
  is_erased boolean;
  routed record;
  counts int[];
  nth int;
begin
  perform postrider.make_commit_durable();
  begin
    items := postrider.parse_publish_items(events, by_service);
  exception when data_exception or program_limit_exceeded then
    items := postrider.parse_publish_items_one_by_one(events, by_service);
  end;
  select bool_or(i.ordering_key is not null), bool_or(i.idempotency_key is not null), bool_or(i.erase_at is not null)
  into is_keyed, is_once, is_erased
  from unnest(items) as i where i.error is null;
  if is_keyed then
    items := postrider.hold_ordering_keys(items);
  end if;
  if is_once then
    items := postrider.reserve_idempotency_keys(items);
  end if;
  if is_keyed then
    items := postrider.place_items(items);
  end if;
  if current_setting('postrider.traceparent', true) <> '' or strpos(events::text, '"traceparent"') > 0 then
    select t.traceparents, t.tracestates into traceparents, tracestates from postrider.trace_contexts(events) as t;
  end if;

  insert into postrider.event (
    id, tenant_id, type, data, idempotency_key, occurred_at, deliver_at, traceparent, tracestate,
    ordering_key, position, channels, as_svix, svix)
  select i.event_id, i.tenant_id, i.type, i.data, i.idempotency_key,
    coalesce(i.occurred_at, clock_timestamp()), i.deliver_at,
    traceparents[i.ordinal], tracestates[i.ordinal], i.ordering_key, i.position,
    i.channels, i.as_svix, i.svix
  from unnest(items) as i
  where i.error is null and not coalesce(i.duplicate, false);
  if is_erased then
    perform postrider.plan_erasures(items);
  end if;

  routed := postrider.route_items(items);
  if is_keyed then
    perform postrider.open_in_lines(
      routed.tenant_ids, routed.event_ids, routed.endpoint_ids, routed.held_reasons, routed.due,
      (select array_agg(items[o].ordering_key order by n) from unnest(routed.ordinals) with ordinality as r (o, n)),
      (select array_agg(items[o].position order by n) from unnest(routed.ordinals) with ordinality as r (o, n)));
  else
    perform postrider.open_deliveries(
      routed.tenant_ids, routed.event_ids, routed.endpoint_ids, routed.held_reasons, routed.due);
  end if;
  if routed.unasked_event_ids is not null then
    perform postrider.leave_unrouted(
      routed.unasked_tenant_ids, routed.unasked_event_ids, routed.unasked_endpoint_ids);
  end if;

  counts := array_fill(0, array[cardinality(items)]);
  foreach nth in array coalesce(routed.ordinals, '{}') loop
    counts[nth] := counts[nth] + 1;
  end loop;
  return query
  select i.ordinal, case when i.error is null then i.event_id end,
    case
      when i.error is null and i.duplicate then postrider.delivery_count(i.event_id)
      else counts[i.ordinal] end,
    coalesce(i.duplicate, false), i.error
  from unnest(items) as i;
end
$$;
comment on function postrider.store_events(json, boolean) is
  'Stores events as publish_many() says. by_service: also for tenants and types that are reserved for the service itself.';
revoke execute on function postrider.store_events(json, boolean) from public;

create or replace function postrider.publish_many(events json)
returns table (ordinal int, event_id uuid, deliveries int, duplicate boolean, error text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  return query select * from postrider.store_events(events, by_service => false);
end
$$;
comment on function postrider.publish_many(json) is
  'Stores a JSON array of {tenant, type, data, idempotencyKey?, deliverAt?, occurredAt?, orderingKey?, channels?, traceparent?, tracestate?} with deliveries and jobs in the caller''s transaction. Times without a zone are in UTC. One row per item, in order; a refused item (also one with another member) stores nothing and carries its error code. For two-phase commit set postrider.wake = ''off'' in the transaction: one that notifies cannot be prepared.';

-- Apart from publish_many, whose statement would otherwise be planned with every partition of delivery.
-- enable_bitmapscan = off: the count is bounded by a column, for which a bitmap would read the primary key
-- of a whole day.
create or replace function postrider.delivery_count(event uuid) returns int
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  return (
    select count(*) from postrider.delivery d
    where d.event_id = event and d.id >= postrider.id_floor(event));
end
$$;
comment on function postrider.delivery_count(uuid) is
  'How many deliveries an event has.';

-- route_items: which endpoints want which of the items, and what holds each at the moment.
--
-- Equal filters are asked once an item. The cheapest come first, and those that would take a tenant above its budget
-- (20 ms for a call, and 0.1 ms for each item of it) are not asked: those endpoints come back as unasked,
-- and runners ask them later (route_next). So the filters of one tenant delay neither the producer's transaction nor the
-- items of others in the same call. Those with a place in a line are always asked: later would be out of order.
--
-- Most endpoints have no filter, so those are settled by a statement that does not weigh any: starting the other one
-- takes longer than running either.
create or replace function postrider.route_items(
  items postrider.publish_item[],
  out ordinals int[], out tenant_ids uuid[], out event_ids uuid[], out endpoint_ids uuid[],
  out held_reasons text[], out due timestamptz[],
  out unasked_tenant_ids uuid[], out unasked_event_ids uuid[], out unasked_endpoint_ids uuid[]
)
language plpgsql stable
as $$
declare
  has_filters boolean;
  passed record;
begin
  select array_agg(i.ordinal) filter (where e.filter is null),
    array_agg(i.tenant_id) filter (where e.filter is null),
    array_agg(i.event_id) filter (where e.filter is null),
    array_agg(e.id) filter (where e.filter is null),
    array_agg(postrider.held_for(e.*, null, c, false)) filter (where e.filter is null),
    array_agg(coalesce(i.deliver_at, now())) filter (where e.filter is null),
    count(e.filter) > 0
  into ordinals, tenant_ids, event_ids, endpoint_ids, held_reasons, due, has_filters
  from unnest(items) as i
  cross join lateral (
    select distinct s.endpoint_id
    from postrider.endpoint_subscription s
    where s.tenant_id = i.tenant_id and s.pattern = any (postrider.type_patterns(i.type))
  ) as subscribed
  -- Offset, so that each endpoint is looked up by its id: without statistics the planner took the index on
  -- the tenant for as good, and read all endpoints of a tenant for each of them (10,000: 48 s, now 0.3 s).
  cross join lateral (
    select e.* from postrider.endpoint e where e.id = subscribed.endpoint_id offset 0
  ) as e
  left join postrider.circuit c on c.endpoint_id = e.id
  where i.error is null and not coalesce(i.duplicate, false)
    and e.tenant_id = i.tenant_id and postrider.takes_events(e.*) and postrider.in_channels(e.channels, i.channels);

  if has_filters then
    passed := postrider.ask_filters(items);
    ordinals := ordinals || passed.ordinals;
    tenant_ids := tenant_ids || passed.tenant_ids;
    event_ids := event_ids || passed.event_ids;
    endpoint_ids := endpoint_ids || passed.endpoint_ids;
    held_reasons := held_reasons || passed.held_reasons;
    due := due || passed.due;
    unasked_tenant_ids := passed.unasked_tenant_ids;
    unasked_event_ids := passed.unasked_event_ids;
    unasked_endpoint_ids := passed.unasked_endpoint_ids;
  end if;
end
$$;
comment on function postrider.route_items(postrider.publish_item[]) is
  'The endpoints that match each item, as parallel arrays: what holds its delivery from the start (delivery.held_reason, null = nothing), and when it is due. unasked: those whose filters are too expensive to be evaluated now.';

create or replace function postrider.ask_filters(
  items postrider.publish_item[],
  out ordinals int[], out tenant_ids uuid[], out event_ids uuid[], out endpoint_ids uuid[],
  out held_reasons text[], out due timestamptz[],
  out unasked_tenant_ids uuid[], out unasked_event_ids uuid[], out unasked_endpoint_ids uuid[]
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  us_a_call constant float8 := 20000;
  us_an_item constant float8 := 100;
  value_counts constant int[] := array(
    select postrider.value_count(i.data::text) from unnest(items) as i order by i.ordinal);
begin
  with wanting as (
    select i.ordinal, i.event_id, i.tenant_id, i.deliver_at, e.filter, array_agg(e.id) as endpoint_ids,
      array_agg(postrider.held_for(e.*, null, c, false)) as held_reasons,
      bool_or(postrider.has_lines(e) and i.ordering_key is not null) as is_in_line
    from unnest(items) as i
    cross join lateral (
      select distinct s.endpoint_id
      from postrider.endpoint_subscription s
      where s.tenant_id = i.tenant_id and s.pattern = any (postrider.type_patterns(i.type))
    ) as subscribed
    cross join lateral (
      select e.* from postrider.endpoint e where e.id = subscribed.endpoint_id offset 0
    ) as e
    left join postrider.circuit c on c.endpoint_id = e.id
    where i.error is null and not coalesce(i.duplicate, false)
      and e.filter is not null and e.tenant_id = i.tenant_id and postrider.takes_events(e.*)
      and postrider.in_channels(e.channels, i.channels)
    group by i.ordinal, i.event_id, i.tenant_id, i.deliver_at, e.filter
  ),
  priced as (
    select w.*, postrider.filter_us(w.filter, value_counts[w.ordinal]) as us from wanting w
  ),
  budgeted as (
    select p.*,
      sum(p.us) over (partition by p.tenant_id order by p.us, p.ordinal, p.filter rows unbounded preceding)
        <= us_a_call + us_an_item * cardinality(items) or p.is_in_line as is_asked
    from priced p
  ),
  answered as materialized (
    select b.*, case when b.is_asked then postrider.passes_filter(b.filter, (items[b.ordinal]).document) end as passes
    from budgeted b
  )
  select array_agg(a.ordinal) filter (where a.passes), array_agg(a.tenant_id) filter (where a.passes),
    array_agg(a.event_id) filter (where a.passes), array_agg(w.endpoint_id) filter (where a.passes),
    array_agg(w.held_reason) filter (where a.passes),
    array_agg(coalesce(a.deliver_at, now())) filter (where a.passes),
    array_agg(a.tenant_id) filter (where not a.is_asked), array_agg(a.event_id) filter (where not a.is_asked),
    array_agg(w.endpoint_id) filter (where not a.is_asked)
  into ordinals, tenant_ids, event_ids, endpoint_ids, held_reasons, due,
    unasked_tenant_ids, unasked_event_ids, unasked_endpoint_ids
  from answered a
  cross join lateral unnest(a.endpoint_ids, a.held_reasons) as w (endpoint_id, held_reason)
  where a.passes or not a.is_asked;
end
$$;
comment on function postrider.ask_filters(postrider.publish_item[]) is
  'What route_items() says, of the endpoints that have a filter.';

create or replace function postrider.publish(
  tenant text, type text, data json, idempotency_key text default null,
  deliver_at timestamptz default null, occurred_at timestamptz default null, ordering_key text default null,
  channels text[] default null
) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  stored record;
  problem record;
begin
  select * into stored from postrider.store_events(json_build_array(json_build_object(
    'tenant', tenant, 'type', type, 'data', data, 'idempotencyKey', idempotency_key,
    'deliverAt', deliver_at, 'occurredAt', occurred_at,
    'orderingKey', ordering_key, 'channels', channels)), by_service => false);
  if stored.error is not null then
    select * into problem from postrider.publish_problem(stored.error);
    raise exception '%: %', stored.error, problem.message
      using errcode = '22023', column = problem.field, hint = problem.hint;
  end if;
  return stored.event_id;
end
$$;
comment on function postrider.publish(text, text, json, text, timestamptz, timestamptz, text, text[]) is
  'Publishes one event in the caller''s transaction and returns its id; nothing is stored if the caller rolls back. ordering_key: endpoints that order by key get the events of a key in the order of commits, and other transactions that publish with the key wait for this one to end. channels: endpoints with channels get it only if they have one of these. Raises 22023 with the argument in COLUMN when it is refused. For two-phase commit set postrider.wake = ''off'' in the transaction: one that notifies cannot be prepared.';

create or replace function postrider.publish_problem(code text)
returns table (field text, message text, hint text)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select p.field, p.message, p.hint
  from (values
    ('event_invalid', 'event', 'the event is not an object', 'Give {"tenant": ..., "type": ..., "data": ...}.'),
    ('member_unknown', 'event', 'the event has a member with an unknown name', 'Use tenant, type, data, idempotencyKey, deliverAt, occurredAt, orderingKey, channels, traceparent and tracestate.'),
    ('tenant_missing', 'tenant', 'tenant is missing', 'Give the key of a tenant.'),
    ('tenant_not_found', 'tenant', 'no tenant has this key', 'Create it first: PUT /api/tenants/{tenant}, or postrider tenant create.'),
    ('tenant_reserved', 'tenant', 'keys that begin with postrider: are for the service itself', 'Give the key of a tenant of yours.'),
    ('tenant_deleting', 'tenant', 'the tenant is being deleted', 'Afterwards, its key can be used for a new tenant.'),
    ('tenant_suspended', 'tenant', 'the tenant is suspended', 'Publishing is refused until the tenant is resumed.'),
    ('type_missing', 'type', 'type is missing', 'Give a dotted name such as invoice.paid.'),
    ('type_invalid', 'type', 'type is not a dotted name', 'Letters, digits, _ and - in parts joined by dots, 128 characters at most, such as invoice.paid.'),
    ('type_reserved', 'type', 'types that begin with postrider. are for the service itself', 'Choose another name.'),
    ('data_missing', 'data', 'data is missing or null', 'Give any JSON value other than null.'),
    ('data_unsupported', 'data', 'data holds something that Postgres cannot store', 'Remove \u0000, lone surrogates, numbers beyond the range of numeric, and very deep nesting.'),
    ('data_too_large', 'data', 'data is larger than 1 MiB', 'Publish a reference to it; receivers refuse large bodies, and runners hold many at a time.'),
    ('idempotency_key_invalid', 'idempotencyKey', 'the idempotency key is too long or empty', 'Use 1 to 255 characters.'),
    ('idempotency_key_busy', 'idempotencyKey', 'somebody is publishing with this key at this moment', 'Try again when that has ended.'),
    ('idempotency_key_reused', 'idempotencyKey', 'the idempotency key was used for a different event', 'Use a new key for a new event; repeat a request with the same type and data.'),
    ('deliver_at_invalid', 'deliverAt', 'deliverAt is not a time', 'Use ISO 8601, such as 2026-01-31T12:00:00Z.'),
    ('deliver_at_too_far', 'deliverAt', 'deliverAt is more than 30 days ahead', 'Choose an earlier time.'),
    ('ordering_key_invalid', 'orderingKey', 'the ordering key is too long, blank, "." or "..", or has a control character', 'Use 1 to 255 characters, such as invoice:42.'),
    ('ordering_key_busy', 'orderingKey', 'somebody is publishing with this ordering key at this moment', 'Try again when that has ended.'),
    ('channels_invalid', 'channels', 'channels are not 1 to 5 names', 'Use letters, digits, ., _ and -, 128 characters at most each; null or nothing = no channels.'),
    ('occurred_at_invalid', 'occurredAt', 'occurredAt is not a time', 'Use ISO 8601, such as 2026-01-31T12:00:00Z.')
  ) as p (code, field, message, hint)
  where p.code = publish_problem.code
$$;
comment on function postrider.publish_problem(text) is
  'What an error code of publish_many means: the field, a message and what to do.';
