-- Incidents: endpoints that keep failing, by cause.
--
--   open     3 failures with the same cause since the last success, a disabled endpoint, or a secret that no key opens
--   closed   recovered: a success deleted the counts, or a person enabled the endpoint
--            quiet: nothing was sent for two days;  deleted: the endpoint
--   open     again, as the same incident, when it comes back within 10 minutes. From then on it stays open for a minute
--            after its last failure, two the second time, 10 at most: a receiver that fails every other second makes one
--            incident and a handful of events, not hundreds
--
-- By a duty every two seconds, and not by the statement that finishes attempts. An upsert there would cost each
-- failed attempt a probe of a second index and a second row version, a flapping receiver opens and closes an incident (and
-- publishes two events) with each batch, and 20 failures that end within a second wake people for nothing. The finish
-- only adds to counts in the row of `circuit` that it writes anyway (incidents/causes.sql); the duty reads that table,
-- which has a row for each endpoint in trouble and none for the others, and writes what has changed since its last look.

create or replace function postrider.incident_signs() returns setof postrider.incident_sign
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select s.endpoint_id, s.tenant_id, s.cause, sum(s.failures)::int, min(s.since), max(s.at),
    max(s.attempt)::uuid, bool_or(s.is_enough) or sum(s.failures) >= 3
  from (
    select c.endpoint_id, c.tenant_id, k.key as cause, (k.value ->> 'failures')::int as failures,
      (k.value ->> 'since')::timestamptz as since, (k.value ->> 'at')::timestamptz as at,
      k.value ->> 'attempt' as attempt, e.state = 'disabled' as is_enough
    from postrider.circuit c
    join postrider.endpoint e on e.id = c.endpoint_id and e.deleted_at is null
    cross join lateral (
      select * from jsonb_each(c.causes) union all select * from jsonb_each(c.lasting_causes)) as k
    where (k.value ->> 'at')::timestamptz > now() - interval '2 days'
    union all
    select e.id, e.tenant_id, 'ours', 0, e.unreadable_since, e.unreadable_since, null, true
    from postrider.endpoint e
    where e.unreadable_since is not null and e.deleted_at is null
  ) as s
  group by s.endpoint_id, s.tenant_id, s.cause
$$;
comment on function postrider.incident_signs() is
  'Why endpoints fail at the moment, by cause. Cost: one pass over the endpoints in trouble.';

-- keep_incidents: every runner calls it every two seconds, one at a time (the duty `incidents`). A batch a call.
--
-- Locks: the incidents that it changes. Cost: one pass over the endpoints in trouble and over the open incidents, and a
--        row for each that changed; nothing while no endpoint fails.
create or replace function postrider.keep_incidents(batch int default 500) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  signs postrider.incident_sign[];
  opened uuid[];
  closed uuid[];
begin
  if not postrider.take_duty('incidents') then
    return null;
  end if;
  signs := array(select s from postrider.incident_signs() as s);
  perform postrider.count_incidents(signs);
  opened := postrider.open_incidents(signs, batch);
  closed := postrider.close_incidents(signs, batch);
  perform postrider.judge_incidents();
  perform postrider.emit_incidents(opened, 'incident.opened');
  perform postrider.emit_incidents(closed, 'incident.closed');
  return cardinality(opened) + cardinality(closed);
end
$$;
comment on function postrider.keep_incidents(int) is
  'Opens, updates and closes incidents, judges whose they are and publishes incident.opened and incident.closed. Returns how many it opened or closed, null when another process is at it.';

create or replace function postrider.count_incidents(signs postrider.incident_sign[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update postrider.incident i
  set failures = i.failures + case when s.failures >= i.counted then s.failures - i.counted else s.failures end,
    counted = s.failures, last_seen_at = greatest(i.last_seen_at, s.at),
    last_attempt_id = coalesce(s.attempt_id, i.last_attempt_id)
  from unnest(signs) as s
  where i.endpoint_id = s.endpoint_id and i.cause = s.cause and i.closed_at is null
    and (i.counted <> s.failures or i.last_seen_at < s.at or i.last_attempt_id is distinct from s.attempt_id)
$$;
comment on function postrider.count_incidents(postrider.incident_sign[]) is
  'Updates the open incidents that have new failures.';

create or replace function postrider.open_incidents(signs postrider.incident_sign[], batch int) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  fresh postrider.incident_sign[] := array(
    select s from unnest(signs) as s
    where s.is_enough and not exists (
      select from postrider.incident i
      where i.endpoint_id = s.endpoint_id and i.cause = s.cause and i.closed_at is null)
    limit batch);
  back uuid[];
  new uuid[];
begin
  with recent as (
    select distinct on (i.endpoint_id, i.cause) i.id, s.failures, s.at, s.attempt_id
    from unnest(fresh) as s
    join postrider.incident i on i.endpoint_id = s.endpoint_id and i.cause = s.cause
      and i.closed_at > now() - interval '10 minutes'
    order by i.endpoint_id, i.cause, i.closed_at desc
  ),
  reopened as (
    update postrider.incident i
    set closed_at = null, closed_reason = null, opened_at = now(), reopened_count = i.reopened_count + 1,
      failures = i.failures + r.failures, counted = r.failures, last_seen_at = r.at, last_attempt_id = r.attempt_id
    from recent r where i.id = r.id
    returning i.id
  )
  select coalesce(array_agg(id), '{}') into back from reopened;
  with inserted as (
    insert into postrider.incident (
      tenant_id, endpoint_id, cause, first_seen_at, last_seen_at, failures, counted, last_attempt_id)
    select s.tenant_id, s.endpoint_id, s.cause, s.since, s.at, s.failures, s.failures, s.attempt_id
    from unnest(fresh) as s
    on conflict (endpoint_id, cause) where closed_at is null do nothing
    returning id
  )
  select coalesce(array_agg(id), '{}') into new from inserted;
  return back || new;
end
$$;
comment on function postrider.open_incidents(postrider.incident_sign[], int) is
  'Opens incidents for signs that are enough and have none; one that was closed less than 10 minutes ago is opened again. Returns their ids.';

create or replace function postrider.close_incidents(signs postrider.incident_sign[], batch int) returns uuid[]
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ended uuid[];
begin
  with over as (
    select i.id, case
      when e.deleted_at is not null then 'deleted'
      when exists (select from postrider.circuit c where c.endpoint_id = i.endpoint_id
        and (c.causes ? i.cause or c.lasting_causes ? i.cause)) then 'quiet'
      else 'recovered' end as reason
    from postrider.incident i
    join postrider.endpoint e on e.id = i.endpoint_id
    where i.closed_at is null
      and i.last_seen_at <= now() - interval '1 minute' * least(i.reopened_count, 10)
      and not exists (select from unnest(signs) as s where s.endpoint_id = i.endpoint_id and s.cause = i.cause)
    limit batch
  ),
  closed as (
    update postrider.incident i set closed_at = now(), closed_reason = o.reason
    from over o where i.id = o.id
    returning i.id
  )
  select coalesce(array_agg(id), '{}') into ended from closed;
  return ended;
end
$$;
comment on function postrider.close_incidents(postrider.incident_sign[], int) is
  'Closes open incidents that nothing speaks for any more; returns their ids.';

-- judge_incidents: the active endpoints are counted only when a cause is shared by three tenants.
create or replace function postrider.judge_incidents() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  alarm constant boolean := postrider.service_alarm() is not null;
  shared record;
  ours text[] := '{}';
begin
  for shared in
    select i.cause, count(distinct i.endpoint_id) as endpoints
    from postrider.incident i
    where i.closed_at is null and i.cause = any (postrider.network_causes())
    group by i.cause having count(distinct i.tenant_id) >= 3
  loop
    if shared.endpoints * 5 >= (
      select count(*) from postrider.endpoint e where e.state = 'active' and e.deleted_at is null)
    then
      ours := ours || shared.cause;
    end if;
  end loop;
  update postrider.incident i set verdict = judged.verdict
  from (
    select o.id, case
      when o.cause = 'ours' or o.cause = any (ours) or (alarm and o.cause = any (postrider.network_causes()))
      then 'ours' else 'theirs' end as verdict
    from postrider.incident o where o.closed_at is null
  ) as judged
  where i.id = judged.id and i.closed_at is null and i.verdict <> judged.verdict;
end
$$;
comment on function postrider.judge_incidents() is
  'Says of each open incident whose trouble it is likely to be, as incident.verdict has it.';

create or replace function postrider.service_alarm() returns text
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select case
    when not exists (select from postrider.runner r
      where r.reaped_at is null and r.stopped_at is null and r.seen_at > now() - interval '5 seconds')
      then 'No runner is alive.'
    when to_regclass('postrider.delivery_' || to_char(now() at time zone 'UTC' + interval '1 day', 'YYYYMMDD')) is null
      then 'The database has no partition for tomorrow.'
    else (
      select format('Runner %s on %s stopped responding.', r.id, r.host) from postrider.runner r
      where r.stopped_at is null
        and (r.reaped_at > now() - interval '5 minutes' or (r.reaped_at is null and r.seen_at < now() - interval '5 seconds'))
      order by r.seen_at desc limit 1)
  end
$$;
comment on function postrider.service_alarm() is
  'What is wrong with this service itself, as a sentence: no runner, one that stopped responding in the last 5 minutes, no partition for tomorrow; null = nothing.';

-- Nothing about the endpoints of operational events themselves, as of emit(): two dead ones would feed each other.
create or replace function postrider.emit_incidents(incidents uuid[], type text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  events json := (
    select json_agg(json_build_object('tenant', operator.key, 'type', emit_incidents.type, 'data', json_build_object(
      'incidentId', i.id, 'endpointId', i.endpoint_id, 'tenant', t.key, 'cause', i.cause, 'verdict', i.verdict,
      'firstSeenAt', i.first_seen_at, 'failures', i.failures, 'reopened', i.reopened_count > 0,
      'closedReason', i.closed_reason)))
    from postrider.incident i
    join postrider.tenant t on t.id = i.tenant_id
    join postrider.tenant operator on operator.key = 'postrider:operator' and operator.id <> t.id
    where i.id = any (incidents));
begin
  if events is not null then
    perform postrider.store_events(events, by_service => true);
  end if;
end
$$;
comment on function postrider.emit_incidents(uuid[], text) is
  'Publishes an operational event about each of these incidents.';
