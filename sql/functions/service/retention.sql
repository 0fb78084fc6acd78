-- Retention: whole days are dropped, by the program, since detaching concurrently takes no transaction:
--
--   select day from retention_plan(days) where verdict = 'drop' or not attached
--   for each: alter table ... detach partition ... concurrently, for event, delivery and attempt
--             select drop_day(day, days)
--
-- Detaching waits for anyone who uses the partition and blocks nobody; what was reopened meanwhile shows
-- afterwards, so drop_day() looks again and attaches the day again if it has come into use. A crash in between
-- leaves partitions detached or half detached, which the next run goes on with.

-- retention_plan: the days that are older than the retention, and which of them are still in use.
--
-- Anyone who adds a table that refers to old events or deliveries adds it here.
-- Cost: some passes over the open deliveries for each day, and an index probe a tenant with a longer retention.
create or replace function postrider.retention_plan(retention_days int)
returns table (day date, verdict text, reason text, attached boolean, bytes bigint)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  today date := (clock_timestamp() at time zone 'UTC')::date;
  old record;
begin
  for old in
    select p.day, bool_and(p.state = 'attached') as attached, sum(p.bytes)::bigint as bytes
    from postrider.partition p where p.day < today - retention_plan.retention_days
    group by p.day order by p.day
  loop
    day := old.day;
    attached := old.attached;
    bytes := old.bytes;
    reason := postrider.why_kept(old.day, retention_plan.retention_days);
    verdict := case when reason is null then 'drop' else 'keep' end;
    return next;
  end loop;
end
$$;
comment on function postrider.retention_plan(int) is
  'Days older than this many, whether retention drops them, and why not: a tenant keeps them, or an open delivery or a replay needs them. attached is false where a run was cut off; the next one continues.';

create or replace function postrider.why_kept(day date, retention_days int) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  today date := (clock_timestamp() at time zone 'UTC')::date;
  low uuid := postrider.id_at(day::timestamp at time zone 'UTC');
  high uuid := postrider.id_at((day + 1)::timestamp at time zone 'UTC');
  open uuid;
  keeper text;
begin
  if day >= today - retention_days then
    return 'the retention was made longer';
  end if;
  open := postrider.open_delivery_of(day);
  if open is not null then
    return format('delivery %s is open', open);
  end if;
  select d.id into open from postrider.delivery d
  where d.finished_at is null and d.event_id >= low and d.event_id < high limit 1;
  if open is not null then
    return format('delivery %s is open and refers to an event of that day', open);
  end if;
  open := postrider.open_delivery_attempted_on(day);
  if open is not null then
    return format('delivery %s is open and has attempts of that day', open);
  end if;
  select l.delivery_id into open from postrider.ordering_line l
  where l.blocked_at is not null and ((l.delivery_id >= low and l.delivery_id < high) or exists (
    select from postrider.delivery d
    where d.id = l.delivery_id and ((d.event_id >= low and d.event_id < high)
      or (d.id < high and exists (
        select from postrider.attempt a where a.delivery_id = d.id and a.id >= low and a.id < high)))))
  limit 1;
  if open is not null then
    return format('delivery %s blocks its ordering key, and can be retried', open);
  end if;
  select r.id into open from postrider.replay r
  where r.finished_at is null and r.position < high
    and r.since < (day + 1)::timestamp at time zone 'UTC' and r.until > day::timestamp at time zone 'UTC'
  limit 1;
  if open is not null then
    return format('replay %s is running and has yet to come to it', open);
  end if;
  select t.key into keeper from postrider.tenant t
  where t.retention_days > why_kept.retention_days and day >= today - t.retention_days
    and postrider.has_rows_on(day, t.id)
  limit 1;
  if keeper is not null then
    return format('tenant %s keeps it', keeper);
  end if;
  return null;
end
$$;
comment on function postrider.why_kept(date, int) is
  'Why retention keeps a day; null when it can be dropped.';

-- The three below look into the partition itself, which may be detached already.
create or replace function postrider.open_delivery_of(day date) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  partition text := format('delivery_%s', to_char(day, 'YYYYMMDD'));
  open uuid;
begin
  if to_regclass(format('postrider.%I', partition)) is not null then
    execute format('select id from postrider.%I where finished_at is null limit 1', partition) into open;
  end if;
  return open;
end
$$;
comment on function postrider.open_delivery_of(date) is 'An open delivery that was created on this day, if there is one.';

create or replace function postrider.open_delivery_attempted_on(day date) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  partition text := format('attempt_%s', to_char(day, 'YYYYMMDD'));
  open uuid;
begin
  if to_regclass(format('postrider.%I', partition)) is not null then
    execute format(
      'select d.id from postrider.delivery d
       where d.finished_at is null and d.attempt_count > 0 and d.id < $1
         and exists (select from postrider.%I a where a.delivery_id = d.id)
       limit 1', partition)
    into open using postrider.id_at((day + 1)::timestamp at time zone 'UTC');
  end if;
  return open;
end
$$;
comment on function postrider.open_delivery_attempted_on(date) is
  'An open delivery of this day or before that has attempts on this day, if there is one.';

create or replace function postrider.has_rows_on(day date, tenant uuid) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  parent text;
  found_one boolean;
begin
  foreach parent in array array['event', 'delivery', 'attempt'] loop
    if to_regclass(format('postrider.%I', parent || to_char(day, '"_"YYYYMMDD'))) is not null then
      execute format('select exists (select from postrider.%I where tenant_id = $1)',
        parent || to_char(day, '"_"YYYYMMDD'))
      into found_one using tenant;
      if found_one then
        return true;
      end if;
    end if;
  end loop;
  return false;
end
$$;
comment on function postrider.has_rows_on(date, uuid) is 'Whether a tenant has events, deliveries or attempts of this day.';

-- drop_day: drop the detached partitions of a day, keeping the counts of its attempts.
--
-- Locks: the partitions, which nobody uses any more. Cost: one pass over the day's attempts.
create or replace function postrider.drop_day(day date, retention_days int) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  suffix text := to_char(day, '"_"YYYYMMDD');
  reason text;
  part record;
begin
  perform from postrider.duty d where d.name = 'partitions' for update;
  if exists (select from postrider.partition p where p.day = drop_day.day and p.state <> 'detached') then
    raise exception 'partitions of % are attached', day using errcode = '55000',
      hint = 'Detach them concurrently first; the program does.';
  end if;

  reason := postrider.why_kept(day, retention_days);
  if reason is not null then
    for part in select p.parent, p.name from postrider.partition p where p.day = drop_day.day loop
      execute format('alter table postrider.%I attach partition postrider.%I for values from (%L) to (%L)',
        part.parent, part.name,
        postrider.id_at(day::timestamp at time zone 'UTC'), postrider.id_at((day + 1)::timestamp at time zone 'UTC'));
    end loop;
    return reason;
  end if;

  if to_regclass('postrider.attempt' || suffix) is not null then
    execute format(
      'insert into postrider.attempt_day as counted (day, tenant_id, endpoint_id, outcome, attempts)
       select $1, tenant_id, endpoint_id, outcome, count(*) from postrider.%I group by 2, 3, 4
       on conflict (day, tenant_id, endpoint_id, outcome) do update
       set attempts = counted.attempts + excluded.attempts', 'attempt' || suffix)
    using day;
  end if;
  for part in select p.name from postrider.partition p where p.day = drop_day.day loop
    execute format('drop table postrider.%I', part.name);
  end loop;
  perform postrider.audit('retention', 'drop_day', 'service', null, null, jsonb_build_object('day', day));
  return null;
end
$$;
comment on function postrider.drop_day(date, int) is
  'Adds the counts of a day to attempt_day and drops its partitions, which must be detached. Where the day has come into use meanwhile it is attached again, and the reason returned; null = dropped.';

-- delete_expired: delete rows of tenants whose time is over in days that are kept: those with a shorter
-- retention than others.
--
-- Locks: the finished deliveries of the batch, skipping locked ones. Cost: a few index probes a row.
create or replace function postrider.delete_expired(retention_days int, batch int default 1000) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  today date := (clock_timestamp() at time zone 'UTC')::date;
  longest int := (select greatest(max(t.retention_days), delete_expired.retention_days) from postrider.tenant t);
  tenant record;
  deleted int := 0;
begin
  for tenant in
    select t.id, postrider.id_at(
      (today - coalesce(t.retention_days, delete_expired.retention_days))::timestamp at time zone 'UTC') as before
    from postrider.tenant t
    where coalesce(t.retention_days, delete_expired.retention_days) < longest
    order by t.id
  loop
    deleted := deleted + postrider.delete_deliveries(tenant.id, tenant.before, batch - deleted);
    exit when deleted >= batch;
    deleted := deleted + postrider.delete_events(tenant.id, tenant.before, batch - deleted);
    exit when deleted >= batch;
  end loop;
  return deleted;
end
$$;
comment on function postrider.delete_expired(int, int) is
  'Deletes a batch of finished deliveries, with their attempts, and of events of tenants whose retention is shorter than the longest; returns how many deliveries and events. Called until it returns 0.';

create or replace function postrider.delete_deliveries(tenant uuid, before uuid, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  deliveries uuid[];
begin
  deliveries := array(
    select d.id from postrider.delivery d
    where d.tenant_id = tenant and d.id < before and d.finished_at is not null and d.claim is null
    order by d.id limit batch for update skip locked);
  if cardinality(deliveries) = 0 then
    return 0;
  end if;

  with gone as (
    delete from postrider.attempt a
    where a.delivery_id = any (deliveries) and a.id >= postrider.id_floor(deliveries[1])
    returning (postrider.id_time(a.id) at time zone 'UTC')::date as day, a.endpoint_id, a.outcome
  )
  insert into postrider.attempt_day as counted (day, tenant_id, endpoint_id, outcome, attempts)
  select g.day, tenant, g.endpoint_id, g.outcome, count(*) from gone g group by 1, 3, 4
  on conflict (day, tenant_id, endpoint_id, outcome) do update
  set attempts = counted.attempts + excluded.attempts;

  delete from postrider.delivery d
  where d.id = any (deliveries) and d.id between deliveries[1] and deliveries[cardinality(deliveries)];
  return cardinality(deliveries);
end
$$;
comment on function postrider.delete_deliveries(uuid, uuid, int) is
  'Deletes the oldest finished deliveries of a tenant with an id below a bound, and their attempts, which are counted in attempt_day; returns how many.';

create or replace function postrider.delete_events(tenant uuid, before uuid, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_bitmapscan = off
set enable_seqscan = off
as $$
declare
  events uuid[];
begin
  events := array(
    select e.id from postrider.event e
    where e.tenant_id = tenant and e.id < before
      and not exists (
        select from postrider.delivery d where d.event_id = e.id and d.id >= postrider.id_floor(e.id))
    order by e.id limit batch for update skip locked);
  if cardinality(events) > 0 then
    delete from postrider.event e
    where e.id = any (events) and e.id between events[1] and events[cardinality(events)];
  end if;
  return cardinality(events);
end
$$;
comment on function postrider.delete_events(uuid, uuid, int) is
  'Deletes the oldest events of a tenant with an id below a bound that no delivery refers to; returns how many.';
