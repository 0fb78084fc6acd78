-- violations: every breach of the promises that can be found, as rows.
--
-- Two kinds of checks. Those of open work cover all of it, through the partial indexes on open deliveries.
-- Those of history cover what was made since a time, the newest rows_max rows of each table at most, by the
-- primary key; so a poll costs the same whether 1 million or 1 billion rows are kept.
--
-- Each has a grace time, so that a healthy busy system, or one that has just lost a runner, shows nothing.
-- Deliveries and jobs are read in one snapshot. jit = off: compiling plans of many partitions takes longer than
-- running them (measured on 15: 2.4 s instead of 0.06 s).
--
--   copy_not_adopted          the database is a copy (service/copies.sql), and nothing is sent
--   open_without_job          pending, and no job will wake it
--   held_without_reason       held, although its endpoint and tenant accept work, and no job releases it
--   secret_unreadable         deliveries are held because no key of a runner opens the secret of their endpoint
--   probe_overdue             an open circuit without a probe planned or under way, or one that is 5 minutes late
--   delivering_without_runner claimed by a runner that has been gone for a minute
--   attempt_missing           a delivery has fewer attempts than it has begun
--   final_without_attempt     delivered without an attempt that was; failed without an attempt that ended
--   started_without_runner    an attempt that is 'started', of a runner gone for a minute or for 5 minutes, and
--                             its delivery is not being delivered under it
--   job_without_delivery      an idle job of a delivery that does not exist or is finished
--   locked_by_the_gone        a job locked for a minute by a runner that is unknown, stopped or reaped
--   delivery_missing          an event matches an endpoint, and there is no delivery. Checked where it can be
--                             decided: the endpoint is active and has neither been changed nor created within
--                             the 5 minutes before the event or after it, and it was no test
--   replay_without_job        a running replay that no job will continue
--   backfill_without_job      a backfill that runners continue, and no job will
--   line_stuck                the delivery that has the turn of an ordering key has ended, and the next does not move; or
--                             one waits in no line, or is not sent in place of an older one
--   newest_missing            a delivery is collapsed, and the newer event that is sent instead has none to its endpoint
--   event_missing             an open delivery whose event is not there
--   routing_overdue           an event that runners have not asked all its endpoints about for an hour
--   table_not_published       an attached table whose trigger is gone or off, or that cannot be written to since a column is
--                             gone or its owner cannot publish
--
-- With its owner's rights: filters are evaluated on the data of events, which monitoring does not read otherwise.
create or replace function postrider.violations(since timestamptz, rows_max int default 10000)
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
  return query select * from postrider.violations_of_set_up();
  return query select * from postrider.violations_of_open_work();
  return query select * from postrider.violations_of_endpoints();
  return query select * from postrider.violations_of_tasks();
  return query select * from postrider.violations_of_jobs();
  return query select * from postrider.violations_of_history(since, rows_max);
  return query select * from postrider.violations_of_routing(since, rows_max / 10);
end
$$;
comment on function postrider.violations(timestamptz, int) is
  'Every breach of the promises that can be found: all open work, and the history since a time (newest rows_max deliveries and attempts, a tenth as many events). No row on a healthy system, however busy.';

create or replace function postrider.violations_of_open_work()
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  select 'open_without_job', d.id::text, d.tenant_id,
    format('attempt %s, due at %s, has no job', d.attempt_count + 1, d.next_attempt_at)
  from postrider.delivery d
  where d.finished_at is null and d.state = 'pending'
    and not exists (select from postrider.live_job j where j.key = 'd:' || d.id);

  return query
  select 'delivering_without_runner', d.id::text, d.tenant_id,
    format('attempt %s of runner %s, which is %s', d.claim, coalesce(a.runner, '?'),
      case
        when r.reaped_at is not null then 'reaped'
        when r.stopped_at is not null then 'stopped'
        when r.id is null then 'unknown'
        else format('silent since %s', r.seen_at) end)
  from postrider.delivery d
  left join lateral (
    select a.runner, a.started_at from postrider.attempt a where a.id = d.claim limit 1
  ) as a on true
  left join postrider.runner r on r.id = a.runner
  where d.finished_at is null and d.state = 'delivering'
    and coalesce(r.reaped_at, r.stopped_at, r.seen_at, a.started_at, '-infinity') < now() - interval '1 minute';

  return query
  select 'line_stuck', s.endpoint_id::text, s.tenant_id, s.detail
  from postrider.stuck_lines(interval '1 minute') as s;

  return query
  select 'event_missing', d.id::text, d.tenant_id, format('event %s is not there', d.event_id)
  from (
    select d.id, d.tenant_id, d.event_id,
      (select e.id from postrider.event e where e.id = d.event_id limit 1) as found_id
    from postrider.delivery d
    where d.finished_at is null
    offset 0
  ) as d
  where d.found_id is null;
end
$$;
comment on function postrider.violations_of_open_work() is
  'Breaches among open deliveries. Cost: some passes over the open deliveries, 5 s a million.';

create or replace function postrider.violations_of_endpoints()
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  select 'held_without_reason', h.oldest::text, e.tenant_id,
    format('%s held deliveries of endpoint %s, which accepts work; the oldest is named', h.deliveries, e.id)
  from postrider.held_without_reason() h
  join postrider.endpoint e on e.id = h.endpoint_id;

  return query
  select 'secret_unreadable', e.id::text, e.tenant_id,
    format('%s deliveries (10000 = at least) are held since %s: %s; give the runners the key, then: postrider secrets release',
      postrider.left_in('held', e.id), e.unreadable_since, e.unreadable_detail)
  from postrider.endpoint e
  where e.unreadable_since is not null and e.deleted_at is null;

  return query
  select 'probe_overdue', p.endpoint_id::text, p.tenant_id,
    format('the circuit of the endpoint is open since %s and no probe is planned or under way', p.opened_at)
  from postrider.overdue_probes(interval '1 minute') as p
  union all
  select 'probe_overdue', substr(j.key, 7), null, format('its probe was due at %s', j.run_at)
  from postrider.live_job j
  where j.key like 'probe:%' and j.locked_at is null and j.run_at < now() - interval '5 minutes';
end
$$;
comment on function postrider.violations_of_endpoints() is
  'Breaches among endpoints, their circuits and what is held for them. Cost: a pass over the held deliveries.';

create or replace function postrider.violations_of_tasks()
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  select 'replay_without_job', r.id::text, r.tenant_id, format('%s of %s are done', r.done, r.total)
  from postrider.replay r
  where r.finished_at is null
    and not exists (select from postrider.live_job j where j.key = 'replay:' || r.id);

  return query
  select 'backfill_without_job', b.id::text, null::uuid, format('%s of %s rows of %s are read', b.read, b.total, b."table")
  from postrider.backfill b
  where b.finished_at is null and b.is_automatic
    and not exists (select from postrider.live_job j where j.key = 'backfill:' || b.id);

  return query
  select 'routing_overdue', u.event_id::text, u.tenant_id,
    format('%s endpoints have yet to be asked, the next one is %s', cardinality(u.endpoint_ids), u.endpoint_ids[1])
  from postrider.unrouted u
  where u.event_id < postrider.id_at(now() - interval '1 hour');
end
$$;
comment on function postrider.violations_of_tasks() is
  'Breaches among what runners do in steps: replays, backfills and routing.';

create or replace function postrider.violations_of_set_up()
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  select 'copy_not_adopted', current_database()::text, null::uuid,
    format('%s; nothing is sent until: postrider adopt', c.reason)
  from (select postrider.unadopted(s.environment) as reason from postrider.service s) as c
  where c.reason is not null;

  return query
  select 'table_not_published', a."table", null::uuid,
    format('%s; attach it again, or: select postrider.detach(%L)', a.problem, a."table")
  from postrider.attached_table a
  where a.problem is not null;
end
$$;
comment on function postrider.violations_of_set_up() is
  'A database that is a copy, and attached tables that do not publish.';

create or replace function postrider.violations_of_jobs()
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  select 'job_without_delivery', j.job_id::text, j.tenant_id,
    format('it would wake delivery %s, which is %s', j.delivery_id, j.found_state)
  from postrider.pointless_jobs(1000) as j;

  return query
  select 'locked_by_the_gone', o.locked_by, null::uuid, format('%s jobs, the oldest since %s', o.jobs, o.since)
  from postrider.locked_orphan o
  where o.since < now() - interval '1 minute';
end
$$;
comment on function postrider.violations_of_jobs() is
  'Breaches among the jobs. Cost: a pass over them and an index probe for each.';

-- Ids are bounded below by since; a merge of the partitions' primary keys yields the newest first, and stops
-- at rows_max. The upper bounds spare a probe in each of the 40 partitions made ahead. Without bitmap scans,
-- because the planner cannot know how little a bound that is a column keeps out, and reads the primary key of
-- a whole day for each row to intersect it with the index that finds it (measured: 10 ms a row, not 0.05).
--
-- Bounds are variables: as functions they are computed for each row and each partition that it is looked for in, and
-- partitions are left out as it runs instead of as it is planned (measured with the routing of 7,500 events: 2 to 26 s
-- of the server's time, depending on version and statistics, instead of 0.2).
create or replace function postrider.violations_of_history(since timestamptz, rows_max int)
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_bitmapscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  id_from constant uuid := postrider.id_at(since);
  id_end constant uuid := postrider.id_at(now() + interval '1 day');
  attempt_from constant uuid := postrider.id_at(since - interval '1 hour');
begin
  return query
  select case when s.attempts < d.attempt_count then 'attempt_missing' else 'final_without_attempt' end,
    d.id::text, d.tenant_id,
    format('%s with %s attempts, %s of them ended, of %s begun', d.state, s.attempts, s.ended, d.attempt_count)
  from (
    select d.* from postrider.delivery d
    where d.id >= id_from and (d.attempt_count > 0 or d.state in ('delivered', 'failed'))
    order by d.id desc limit rows_max
  ) as d
  cross join lateral (
    select count(*) as attempts,
      count(*) filter (where a.outcome not in ('started', 'abandoned')) as ended,
      count(*) filter (where a.outcome = 'delivered') as delivered
    from postrider.attempt a
    where a.delivery_id = d.id and a.id >= attempt_from and a.id < id_end
  ) as s
  where s.attempts < d.attempt_count
    or (d.state = 'delivered' and s.delivered = 0)
    or (d.state = 'failed' and s.ended = 0);

  return query
  select 'newest_missing', d.id::text, d.tenant_id,
    format('collapsed by event %s, which has no delivery to endpoint %s', d.collapsed_by, d.endpoint_id)
  from (
    select d.* from postrider.delivery d where d.id >= id_from order by d.id desc limit rows_max
  ) as d
  where d.state = 'collapsed' and not exists (
    select from postrider.delivery n
    where n.event_id = d.collapsed_by and n.endpoint_id = d.endpoint_id and n.id >= postrider.id_floor(d.collapsed_by)
      and n.id < id_end);

  return query
  select 'started_without_runner', a.id::text, a.tenant_id,
    format('attempt of delivery %s, begun by %s at %s', a.delivery_id, a.runner, a.started_at)
  from (
    select a.id, a.tenant_id, a.delivery_id, a.runner, a.started_at, a.outcome from postrider.attempt a
    where a.id >= id_from
    order by a.id desc limit rows_max
  ) as a
  left join postrider.runner r on r.id = a.runner
  where a.outcome = 'started' and a.started_at < now() - interval '1 minute'
    and (coalesce(r.reaped_at, r.stopped_at, r.seen_at, a.started_at) < now() - interval '1 minute'
      or a.started_at < now() - interval '5 minutes')
    and not exists (
      select from postrider.delivery d
      where d.id = a.delivery_id and d.state = 'delivering' and d.claim = a.id);
end
$$;
comment on function postrider.violations_of_history(timestamptz, int) is
  'Breaches among the newest deliveries and attempts since a time. Cost: 0.05 ms a row.';

-- Bounds are variables here too, the lower one of all deliveries that is of the oldest event.
create or replace function postrider.violations_of_routing(since timestamptz, rows_max int)
returns table (kind text, id text, tenant_id uuid, detail text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_bitmapscan = off
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  id_from constant uuid := postrider.id_at(since);
  id_end constant uuid := postrider.id_at(now() + interval '1 day');
  oldest_id constant uuid := coalesce((
    select ev.id from postrider.event ev
    where ev.id >= id_from and ev.id < id_end and ev.data is not null and ev.only_endpoint_id is null
    order by ev.id desc offset greatest(rows_max - 1, 0) limit 1), id_from);
  delivery_from constant uuid := postrider.id_floor(oldest_id);
begin
  return query
  select 'delivery_missing', ev.id::text, ev.tenant_id,
    format('type %s matches endpoint %s, and there is no delivery', ev.type, e.id)
  from postrider.event ev
  cross join lateral (
    select s.endpoint_id
    from unnest(postrider.type_patterns(ev.type)) as wanted (pattern)
    join postrider.endpoint_subscription s on s.tenant_id = ev.tenant_id and s.pattern = wanted.pattern
    except
    select d.endpoint_id
    from postrider.delivery d
    where d.event_id = ev.id and d.id >= delivery_from and d.id < id_end
    except
    select unnest(u.endpoint_ids) from postrider.unrouted u where u.tenant_id = ev.tenant_id and u.event_id = ev.id
  ) as missing
  -- Offset, so that endpoints are looked up for what is missing: as a join the planner began with them, and
  -- asked for the deliveries of every event once per endpoint.
  cross join lateral (
    select e.* from postrider.endpoint e where e.id = missing.endpoint_id offset 0
  ) as e
  where ev.id >= oldest_id and ev.id < id_end and ev.data is not null and ev.only_endpoint_id is null
    and e.state = 'active' and greatest(e.created_at, e.updated_at) < ev.created_at - interval '5 minutes'
    and postrider.in_channels(e.channels, ev.channels) and postrider.passes_filter(e.filter, ev.data::text::jsonb);
end
$$;
comment on function postrider.violations_of_routing(timestamptz, int) is
  'Events since a time that match an endpoint for which there is no delivery, where that can be decided. Cost: 0.04 ms an event.';

create or replace view postrider.invariant_violation as
select v.kind, v.id, v.tenant_id, v.detail
from postrider.violations(now() - interval '1 hour') as v;
comment on view postrider.invariant_violation is
  'Every breach of the promises that can be found: all open work, and the newest 10,000 deliveries and attempts of the last hour; postrider doctor looks further back. No row on a healthy system, however busy. What each kind means stands at postrider.violations(); reconcile() and janitor() repair what can be repaired.';
comment on column postrider.invariant_violation.kind is
  'copy_not_adopted, open_without_job, held_without_reason, secret_unreadable, probe_overdue, delivering_without_runner, attempt_missing, final_without_attempt, started_without_runner, job_without_delivery, locked_by_the_gone, delivery_missing, event_missing, replay_without_job, backfill_without_job, routing_overdue, line_stuck, newest_missing, table_not_published.';
comment on column postrider.invariant_violation.id is
  'Of the delivery (also newest_missing); of the attempt (started_without_runner), endpoint (secret_unreadable, probe_overdue, line_stuck), job (job_without_delivery), runner (locked_by_the_gone), event (delivery_missing, routing_overdue), replay (replay_without_job) or backfill (backfill_without_job); the name of the database (copy_not_adopted), or of the table (table_not_published).';
comment on column postrider.invariant_violation.tenant_id is 'Whose it is; null where that is unknown.';
comment on column postrider.invariant_violation.detail is 'What is wrong, in words.';
