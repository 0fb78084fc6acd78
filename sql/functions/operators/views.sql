-- Views for people and monitoring. Each says what a poll costs; none takes a lock that anything waits for.
--
-- `create or replace view` keeps grants. It can add columns at the end; anyone who renames or removes one drops
-- the view in a migration first.

create or replace view postrider.queue_depth as
select j.task_identifier, j.state, count(*) as jobs, min(j.run_at) as oldest_run_at,
  greatest(extract(epoch from now() - min(j.run_at)), 0)::numeric(12, 1) as lag_s,
  max(j.attempts) as attempts_max
from (
  select j.task_identifier, j.run_at, j.attempts,
    case
      when j.locked_at is not null then 'running'
      when j.attempts >= j.max_attempts then 'dead'
      when j.run_at > now() then 'scheduled'
      else 'ready' end as state
  from graphile_worker.jobs j
) as j
group by j.task_identifier, j.state;
comment on view postrider.queue_depth is
  'Jobs by task and state. Cost: one pass over the jobs, 0.1 s with 100,000; poll it every 15 s at most.';
comment on column postrider.queue_depth.task_identifier is 'deliver (one a delivery), probe and align (one an endpoint).';
comment on column postrider.queue_depth.state is 'ready (due), scheduled (due later), running (held by a runner), dead (will never run; janitor() removes it).';
comment on column postrider.queue_depth.jobs is 'How many.';
comment on column postrider.queue_depth.oldest_run_at is 'When the oldest of them was, or will be, due.';
comment on column postrider.queue_depth.lag_s is 'For how many seconds the oldest has been due; 0 when it is not yet.';
comment on column postrider.queue_depth.attempts_max is 'How often one of them has been taken; more than 1 or 2 means that something in this service fails.';

create or replace view postrider.runner_health as
select r.id, r.host, r.pid,
  case
    when r.reaped_at is not null then 'reaped'
    when r.stopped_at is not null then 'stopped'
    when r.seen_at < now() - interval '5 seconds' then 'silent'
    when r.drain_requested_at is not null then 'draining'
    else 'live' end as state,
  r.started_at, r.seen_at,
  greatest(extract(epoch from coalesce(r.reaped_at, r.stopped_at, now()) - r.seen_at), 0)::numeric(12, 1) as silent_s,
  postrider.has_session(r) as has_session,
  coalesce(j.jobs, 0) as jobs_locked, j.oldest_lock, r.stopped_at, r.reaped_at, r.drain_requested_at
from postrider.runner r
left join (
  select j.locked_by, count(*) as jobs, min(j.locked_at) as oldest_lock
  from graphile_worker.jobs j where j.locked_by is not null group by j.locked_by
) as j on j.locked_by = r.id;
comment on view postrider.runner_health is
  'Runners that work or were gone less than 7 days ago. Cost: one pass over the jobs.';
comment on column postrider.runner_health.id is 'As in attempt.runner and in the log.';
comment on column postrider.runner_health.host is 'Host name.';
comment on column postrider.runner_health.pid is 'Process id on that host.';
comment on column postrider.runner_health.state is 'live; draining (asked to stop by drain_runner(), finishing what it has); silent (no heartbeat for 5 s: stalled, cut off, or dead and about to be reaped); stopped (in good order); reaped (found dead).';
comment on column postrider.runner_health.started_at is 'When it registered.';
comment on column postrider.runner_health.seen_at is 'Last heartbeat; there is one a second.';
comment on column postrider.runner_health.silent_s is 'Seconds since then; of the ones that are gone, how long they had been silent.';
comment on column postrider.runner_health.has_session is 'Whether the connection is there by which it is known to live. While it is, it is not reaped.';
comment on column postrider.runner_health.jobs_locked is 'Jobs it holds: in flight and fetched ahead.';
comment on column postrider.runner_health.oldest_lock is 'Since when it holds the oldest of them.';
comment on column postrider.runner_health.stopped_at is 'When it stopped in good order.';
comment on column postrider.runner_health.reaped_at is 'When it was found dead.';
comment on column postrider.runner_health.drain_requested_at is 'When drain_runner() asked it to stop.';

create or replace view postrider.overdue_delivery as
select d.id, d.tenant_id, d.endpoint_id, d.state, d.due_attempt, d.next_attempt_at,
  now() - d.next_attempt_at as overdue, d.abandoned_count,
  j.id as job_id, j.run_at as job_run_at, j.locked_by as job_locked_by, j.attempts as job_attempts
from postrider.delivery d
left join graphile_worker.jobs j on j.key = 'd:' || d.id
where d.finished_at is null and d.state in ('pending', 'delivering')
  and d.next_attempt_at < now() - interval '1 minute';
comment on view postrider.overdue_delivery is
  'Deliveries that have been due for a minute and are not done. Many with a job: too few runners, or a limit of their endpoint; without a job: see invariant_violation. Cost: an index scan of what is due.';
comment on column postrider.overdue_delivery.id is 'The delivery.';
comment on column postrider.overdue_delivery.tenant_id is 'Its tenant.';
comment on column postrider.overdue_delivery.endpoint_id is 'To whom.';
comment on column postrider.overdue_delivery.state is 'pending, or delivering: being sent for that long, or cut off.';
comment on column postrider.overdue_delivery.due_attempt is 'Number of the job that is to wake it.';
comment on column postrider.overdue_delivery.next_attempt_at is 'Since when.';
comment on column postrider.overdue_delivery.overdue is 'For how long.';
comment on column postrider.overdue_delivery.abandoned_count is 'Attempts in a row that were cut off; 3 or more: it can be what kills runners, and is put off.';
comment on column postrider.overdue_delivery.job_id is 'Its job; null = none, reconcile() adds one.';
comment on column postrider.overdue_delivery.job_run_at is 'When the job runs: later than next_attempt_at where a limit put it off.';
comment on column postrider.overdue_delivery.job_locked_by is 'Runner that holds the job.';
comment on column postrider.overdue_delivery.job_attempts is 'How often a runner has taken the job.';

create or replace view postrider.endpoint_health as
select e.id, e.tenant_id, e.url, e.state, e.disabled_reason,
  coalesce(d.pending, 0) as pending, coalesce(d.delivering, 0) as delivering, coalesce(d.held, 0) as held,
  d.oldest_due_at, coalesce(c.failures, 0) as failures, c.failing_since,
  c.opened_at as circuit_opened_at, c.probe_at, coalesce(c.refusals, 0) as refusals, c.refusing_since,
  e.unreadable_since, e.unreadable_detail
from postrider.endpoint e
left join (
  select d.endpoint_id,
    count(*) filter (where d.state = 'pending') as pending,
    count(*) filter (where d.state = 'delivering') as delivering,
    count(*) filter (where d.state = 'held') as held,
    min(d.next_attempt_at) filter (where d.state in ('pending', 'held')) as oldest_due_at
  from postrider.delivery d
  where d.finished_at is null
  group by d.endpoint_id
) as d on d.endpoint_id = e.id
left join postrider.circuit c on c.endpoint_id = e.id
where e.deleted_at is null;
comment on view postrider.endpoint_health is
  'Endpoints with what is open for them and how they fare. Cost: one pass over the open deliveries, or with "where id = ..." over those of the endpoint.';
comment on column postrider.endpoint_health.id is 'The endpoint.';
comment on column postrider.endpoint_health.tenant_id is 'Its tenant.';
comment on column postrider.endpoint_health.url is 'Where it is.';
comment on column postrider.endpoint_health.state is 'active, paused or disabled.';
comment on column postrider.endpoint_health.disabled_reason is 'Why it is disabled.';
comment on column postrider.endpoint_health.pending is 'Deliveries that wait for their time or for a runner.';
comment on column postrider.endpoint_health.delivering is 'Deliveries being sent.';
comment on column postrider.endpoint_health.held is 'Deliveries held until it accepts work again.';
comment on column postrider.endpoint_health.oldest_due_at is 'When the most overdue of the pending and held ones was due.';
comment on column postrider.endpoint_health.failures is 'Failed attempts in a row, until a success or a response that refuses an event.';
comment on column postrider.endpoint_health.failing_since is 'Since when it has failed without a success and without a long pause in between; null = nothing has failed since its last success.';
comment on column postrider.endpoint_health.circuit_opened_at is 'Since when deliveries are held except for a probe now and then; null = they are not.';
comment on column postrider.endpoint_health.probe_at is 'When the next probe is due.';
comment on column postrider.endpoint_health.refusals is 'Attempts since its last success in which it refused the event, such as 400.';
comment on column postrider.endpoint_health.refusing_since is 'When the first of them ended; null = there is none.';
comment on column postrider.endpoint_health.unreadable_since is 'Since when its deliveries are held because no key of a runner opens its secret or client key; null = they are not.';
comment on column postrider.endpoint_health.unreadable_detail is 'What that runner said.';

create or replace view postrider.attempt_rate as
select date_trunc('minute', a.started_at) as minute, a.outcome, count(*) as attempts,
  (percentile_cont(0.5) within group (order by a.duration_ms))::real as p50_ms,
  (percentile_cont(0.95) within group (order by a.duration_ms))::real as p95_ms,
  (percentile_cont(0.99) within group (order by a.duration_ms))::real as p99_ms
from postrider.attempt a
where a.id >= postrider.id_at(now() - interval '15 minutes')
group by 1, 2;
comment on view postrider.attempt_rate is
  'Attempts of the last 15 minutes by minute and outcome. Cost: 1 s a million attempts of these minutes; older ones are not touched.';
comment on column postrider.attempt_rate.minute is 'Minute in which they began.';
comment on column postrider.attempt_rate.outcome is 'As in attempt.outcome.';
comment on column postrider.attempt_rate.attempts is 'How many.';
comment on column postrider.attempt_rate.p50_ms is 'Half of them took this long or less, ms; null where nothing was sent.';
comment on column postrider.attempt_rate.p95_ms is '95 % of them took this long or less, ms.';
comment on column postrider.attempt_rate.p99_ms is '99 % of them took this long or less, ms.';

create or replace view postrider.failure_reason as
select a.reason, a.outcome, count(*) as attempts, count(distinct a.endpoint_id) as endpoints,
  count(distinct a.tenant_id) as tenants, max(a.finished_at) as latest_at,
  (array_agg(concat_ws(': ', a.error, a.error_detail) order by a.id desc))[1] as latest_error
from postrider.attempt a
where a.id >= postrider.id_at(now() - interval '15 minutes') and a.reason is not null
group by a.reason, a.outcome;
comment on view postrider.failure_reason is
  'Failed attempts of the last 15 minutes by reason. Cost: one pass over the attempts of these minutes, as attempt_rate; older ones are not touched.';
comment on column postrider.failure_reason.reason is 'As in attempt.reason.';
comment on column postrider.failure_reason.outcome is 'As in attempt.outcome.';
comment on column postrider.failure_reason.attempts is 'How many.';
comment on column postrider.failure_reason.endpoints is 'How many endpoints they were for. One: that receiver. Many at once: look here first.';
comment on column postrider.failure_reason.tenants is 'How many tenants those are of.';
comment on column postrider.failure_reason.latest_at is 'When the latest of them ended.';
comment on column postrider.failure_reason.latest_error is 'What it said, with what only operators see.';

create or replace view postrider.partition as
select parent.relname::text as parent, child.relname::text as name,
  to_date(right(child.relname, 8), 'YYYYMMDD') as day,
  case
    when i.inhrelid is null then 'detached'
    when i.inhdetachpending then 'detaching'
    else 'attached' end as state,
  greatest(child.reltuples, 0)::bigint as rows_estimate,
  pg_total_relation_size(child.oid) as bytes
from pg_class child
join pg_class parent on parent.relname = left(child.relname, -9) and parent.relnamespace = child.relnamespace
left join pg_inherits i on i.inhrelid = child.oid
where child.relnamespace = 'postrider'::regnamespace and child.relkind = 'r' and parent.relkind = 'p'
  and child.relname ~ '^(event|delivery|attempt)_\d{8}$';
comment on view postrider.partition is
  'Day partitions of event, delivery and attempt. There must be some ahead: without today''s nothing can be published. Cost: reads file sizes, some ms.';
comment on column postrider.partition.parent is 'event, delivery or attempt.';
comment on column postrider.partition.name is 'Table of that day.';
comment on column postrider.partition.day is 'Day (UTC) on which its rows'' ids were created.';
comment on column postrider.partition.state is 'attached; detaching (a retention run was cut off, the next one continues); detached (no longer part of the table, about to be dropped).';
comment on column postrider.partition.rows_estimate is 'Rows as of the last analyze; 0 before it.';
comment on column postrider.partition.bytes is 'Disk space with indexes and TOAST.';

create or replace view postrider.table_health as
select s.schemaname || '.' || s.relname as table_name,
  (select p.relname::text from pg_inherits i join pg_class p on p.oid = i.inhparent where i.inhrelid = s.relid) as parent,
  s.n_live_tup as live_rows, s.n_dead_tup as dead_rows,
  round(100.0 * s.n_dead_tup / nullif(s.n_live_tup + s.n_dead_tup, 0), 1) as dead_percent,
  s.n_tup_upd as updates, round(100.0 * s.n_tup_hot_upd / nullif(s.n_tup_upd, 0), 1) as hot_percent,
  pg_table_size(s.relid) as table_bytes, pg_indexes_size(s.relid) as index_bytes,
  s.last_autovacuum, s.last_autoanalyze, s.autovacuum_count
from pg_stat_user_tables s
where s.schemaname in ('postrider', 'graphile_worker');
comment on view postrider.table_health is
  'Size, dead rows and vacuum of every table of the service. Cost: reads statistics and file sizes, some 10 ms.';
comment on column postrider.table_health.table_name is 'Schema and table.';
comment on column postrider.table_health.parent is 'Table that it is a day partition of; null for others.';
comment on column postrider.table_health.live_rows is 'Rows, estimated.';
comment on column postrider.table_health.dead_rows is 'Rows that vacuum has yet to remove, estimated.';
comment on column postrider.table_health.dead_percent is 'Share of dead rows. For _private_jobs many are normal for seconds: each job is inserted, updated and deleted.';
comment on column postrider.table_health.updates is 'Updates since the statistics were reset.';
comment on column postrider.table_health.hot_percent is 'Share of updates that touched no index. Of attempt close to 100; of delivery about a half (the last update leaves the partial indexes); of _private_jobs 0.';
comment on column postrider.table_health.table_bytes is 'Disk space without indexes.';
comment on column postrider.table_health.index_bytes is 'Disk space of the indexes.';
comment on column postrider.table_health.last_autovacuum is 'When autovacuum was last here.';
comment on column postrider.table_health.last_autoanalyze is 'When its statistics were last taken.';
comment on column postrider.table_health.autovacuum_count is 'How often autovacuum was here.';

-- With its owner's rights, so that monitoring need not be a member of pg_read_all_stats: that shows the text of
-- everybody's statements, and a producer's may have a payload in it. A standby's walsender has no database and holds
-- back every one; sessions of another database hold back nothing here. Neither do vacuums, whose process ids everybody
-- is told; an autovacuum worker that analyzes does.
create or replace function postrider.snapshot_holders()
returns table (pid int, application_name text, xmin_age int, open_for interval, state text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select a.pid, coalesce(nullif(a.application_name, ''), a.backend_type), greatest(age(a.backend_xid), age(a.backend_xmin)),
    now() - a.xact_start, a.state
  from pg_stat_activity a
  where coalesce(a.backend_xid, a.backend_xmin) is not null and a.pid <> pg_backend_pid()
    and (a.datid is null or a.datid = (select d.oid from pg_database d where d.datname = current_database()))
    and not exists (select from pg_stat_progress_vacuum v where v.pid in (a.pid, a.leader_pid))
$$;
comment on function postrider.snapshot_holders() is
  'Sessions that keep vacuum from removing rows of this database, by a snapshot or because they have written, and standbys, without the text of their statements. open_for and state are null for sessions of other roles, unless the owner of this function is a superuser or a member of pg_read_all_stats.';

create or replace view postrider.xmin_holder as
select 'session' as kind, a.pid::text as who, a.application_name::text as detail,
  a.xmin_age, a.open_for, a.state::text as state
from postrider.snapshot_holders() a
union all
select 'slot', s.slot_name::text, coalesce(s.plugin, s.slot_type)::text,
  greatest(age(s.xmin), age(s.catalog_xmin)), null, case when s.active then 'active' else 'inactive' end
from pg_replication_slots s
where s.xmin is not null or s.catalog_xmin is not null
union all
select 'prepared', p.gid, p.owner::text, age(p.transaction), now() - p.prepared, 'prepared'
from pg_prepared_xacts p
where p.database = current_database();
comment on view postrider.xmin_holder is
  'What keeps vacuum from removing dead rows: old transactions, replication slots, prepared transactions. While one is old, fetching jobs gets slower and slower. What is unknown of sessions of other roles: see snapshot_holders(). Cost: none.';
comment on column postrider.xmin_holder.kind is 'session, slot or prepared.';
comment on column postrider.xmin_holder.who is 'Process id (pg_terminate_backend), slot name (pg_drop_replication_slot) or transaction name (rollback prepared).';
comment on column postrider.xmin_holder.detail is 'Application, or kind of process where it gives no name; plugin; owner.';
comment on column postrider.xmin_holder.xmin_age is 'How many transactions ago its snapshot was taken, or it began to write.';
comment on column postrider.xmin_holder.open_for is 'For how long the transaction has been open; null for slots, and where it cannot be seen.';
comment on column postrider.xmin_holder.state is 'active, idle in transaction, inactive, prepared, ...; null where it cannot be seen.';

-- With its owner's rights for the same reason. Without them a session of another role has its name and database only;
-- then it is counted whatever it is, as autovacuum and parallel workers are, which need no place of max_connections.
create or replace function postrider.client_sessions()
returns table (application_name text, is_here boolean, state text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(a.application_name, ''), d.datname = current_database(), a.state
  from pg_stat_activity a
  join pg_database d on d.oid = a.datid
  where coalesce(a.backend_type, 'client backend') = 'client backend'
$$;
comment on function postrider.client_sessions() is
  'Connections to every database of the server, by the name that programs give. state is null for those of other roles, unless the owner of this function is a superuser or a member of pg_read_all_stats.';

create or replace view postrider.notify_pressure as
select pg_notification_queue_usage() as queue_usage,
  (select count(*) from pg_locks l
   where l.locktype = 'object' and l.classid = 'pg_database'::regclass and l.objid = 0 and not l.granted) as commits_waiting;
comment on view postrider.notify_pressure is
  'How hard NOTIFY works, which wakes idle runners: see queue/bell.sql. Cost: none.';
comment on column postrider.notify_pressure.queue_usage is 'Share of the notification queue that is filled, 0 to 1. It grows while a session that listens sits in a transaction; full, commits fail.';
comment on column postrider.notify_pressure.commits_waiting is 'Commits that wait for the lock of NOTIFY at this moment. Several, again and again, though runners are busy: another program notifies, or somebody keeps the bell taken.';
