-- reconcile: give open work that nothing will wake up its job again.
--
-- The safety net under everything else: whatever has made a job vanish (a person, a restore, a fault of ours
-- or of graphile-worker), the delivery says what is to be done. What it heals, each bounded to a batch a call:
--   pending       no job will wake this delivery, due or scheduled: it gets one
--   delivering    its runner is gone, or it has been sent for older_than, and no job is left: it gets one
--   held          endpoint and tenant accept work, no circuit is open, no align job exists: it gets one
--   secret        held for a secret that no key opens, and one of the endpoint has expired since: tried again
--   cancelled     held deliveries of a deleted endpoint
--   probe         an open circuit without a probe, planned or under way
--   replay        a running replay without its job
--   backfill      a backfill that runners continue, without its job
--   deletion      a tenant that is being deleted without its job
--   unlocked      jobs that a runner has locked which is unknown, stopped or reaped for more than 30 s
--   line          ordering keys whose turn has ended and whose next does not move
--   abandoned     attempts of a dead runner that no claim will find, since their delivery is finished
--
-- One at a time (the duty `reconcile`): another call returns nothing.
-- Locks: skips rows that are locked at this moment. Cost: one pass over the open deliveries, 1 s a million.
--
-- It sees deliveries and jobs in one snapshot, in which a pending delivery always has its job; older_than
-- merely spares what is younger, in case that was wrong.
create or replace function postrider.reconcile(
  older_than interval default '5 minutes', who text default session_user, batch int default 1000
) returns table (healed text, count int)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  counts jsonb;
begin
  if not postrider.take_duty('reconcile') then
    return;
  end if;
  counts := jsonb_build_object(
    'unlocked', postrider.unlock_orphans(),
    'pending', postrider.requeue_pending(older_than, batch),
    'delivering', postrider.requeue_delivering(older_than, batch),
    'held', postrider.align_held(least(batch, 100)),
    'secret', postrider.release_outlived_secrets(least(batch, 100)),
    'cancelled', postrider.cancel_of_deleted_endpoints(batch),
    'probe', postrider.reschedule_probes(older_than),
    'replay', postrider.requeue_replays(),
    'backfill', postrider.requeue_backfills(),
    'deletion', postrider.requeue_tenant_deletions(),
    'abandoned', postrider.abandon_of_dead_runners(interval '1 hour'),
    'line', postrider.advance_stuck_lines(least(older_than, interval '1 minute'), batch));

  return query
  select c.key, c.value::int from jsonb_each_text(counts) as c where c.value <> '0';
  if found then
    perform postrider.audit(who, 'reconcile', 'service', null, null,
      (select jsonb_object_agg(c.key, c.value) from jsonb_each(counts) as c where c.value <> '0'));
  end if;
end
$$;
comment on function postrider.reconcile(interval, text, int) is
  'Gives open deliveries that no job will wake their job again, moves lines that nothing moves, unlocks jobs of runners that are gone, and closes attempts that nobody will finish. Returns what it healed and how many; nothing on a healthy system. Runs every minute.';

create or replace function postrider.requeue_pending(older_than interval, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  requeued int;
begin
  with lost as materialized (
    select d.id
    from postrider.delivery d
    where d.finished_at is null and d.state = 'pending' and d.created_at < now() - older_than
      and not exists (select from postrider.live_job j where j.key = 'd:' || d.id)
    limit batch
    for update of d skip locked
  )
  select postrider.requeue_deliveries(array_agg(l.id)) into requeued from lost l;
  return requeued;
end
$$;
comment on function postrider.requeue_pending(interval, int) is
  'Adds the jobs of pending deliveries that have none; returns how many.';

create or replace function postrider.requeue_delivering(older_than interval, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  requeued int;
begin
  with lost as materialized (
    select d.id, d.claim
    from postrider.delivery d
    where d.finished_at is null and d.state = 'delivering'
      and not exists (select from postrider.live_job j where j.key = 'd:' || d.id)
    limit batch
    for update of d skip locked
  ),
  cut_off as (
    select l.id
    from lost l
    left join lateral (
      select a.runner, a.started_at from postrider.attempt a where a.id = l.claim limit 1
    ) as a on true
    left join postrider.runner r on r.id = a.runner and r.reaped_at is null and r.stopped_at is null
    where r.id is null or a.started_at < now() - older_than
  )
  select postrider.requeue_deliveries(array_agg(c.id)) into requeued from cut_off c;
  return requeued;
end
$$;
comment on function postrider.requeue_delivering(interval, int) is
  'Adds the jobs of deliveries whose attempt was cut off and that have none; the runner that takes them marks the attempt as abandoned. Returns how many.';

create or replace function postrider.cancel_of_deleted_endpoints(batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  cancelled int;
begin
  select coalesce(sum(postrider.cancel_deliveries_of(e.id, batch)), 0) into cancelled
  from (
    select distinct e.id
    from postrider.delivery d
    join postrider.endpoint e on e.id = d.endpoint_id and e.deleted_at is not null
    where d.finished_at is null and d.state = 'held'
    limit 10
  ) as e;
  return cancelled;
end
$$;
comment on function postrider.cancel_of_deleted_endpoints(int) is
  'Cancels open deliveries of deleted endpoints of which some are held, a batch for each of ten endpoints at most; returns how many.';

create or replace function postrider.reschedule_probes(older_than interval) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  endpoints uuid[] := array(
    select p.endpoint_id from postrider.overdue_probes(older_than) as p
    join postrider.circuit c on c.endpoint_id = p.endpoint_id
    order by p.endpoint_id
    limit 100
    for update of c skip locked);
begin
  perform postrider.schedule_probe(e, now()) from unnest(endpoints) as e;
  return cardinality(endpoints);
end
$$;
comment on function postrider.reschedule_probes(interval) is
  'Plans a probe at once for open circuits that have none planned or in progress; returns how many.';

create or replace function postrider.overdue_probes(older_than interval)
returns table (endpoint_id uuid, tenant_id uuid, opened_at timestamptz)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  select c.endpoint_id, c.tenant_id, c.opened_at
  from postrider.circuit c
  join postrider.endpoint e on e.id = c.endpoint_id
  join postrider.tenant t on t.id = e.tenant_id
  where c.opened_at < now() - older_than and postrider.accepts_work(e, t) and not postrider.is_paused()
    and not exists (select from postrider.live_job j where j.key = 'probe:' || c.endpoint_id)
    and not exists (
      select from postrider.delivery d
      where d.id = c.probe_delivery_id and d.finished_at is null
        and (d.state = 'delivering' or (d.state = 'pending' and d.next_attempt_at <= now())));
end
$$;
comment on function postrider.overdue_probes(interval) is
  'Circuits that opened longer ago than this, of endpoints that accept work, without a probe planned or in progress.';

create or replace function postrider.requeue_replays() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  replays uuid[] := array(
    select r.id from postrider.replay r
    where r.finished_at is null
      and not exists (select from postrider.live_job j where j.key = 'replay:' || r.id)
    limit 100
    for update of r skip locked);
begin
  perform postrider.enqueue_replay_job(r, now()) from unnest(replays) as r;
  return cardinality(replays);
end
$$;
comment on function postrider.requeue_replays() is 'Adds the jobs of running replays that have none; returns how many.';

create or replace function postrider.requeue_backfills() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  backfills uuid[] := array(
    select b.id from postrider.backfill b
    where b.finished_at is null and b.is_automatic
      and not exists (select from postrider.live_job j where j.key = 'backfill:' || b.id)
    limit 100
    for update of b skip locked);
begin
  perform postrider.enqueue_backfill_job(b, now()) from unnest(backfills) as b;
  return cardinality(backfills);
end
$$;
comment on function postrider.requeue_backfills() is 'Adds the jobs of running backfills that have none; returns how many.';

-- Jobs of a runner that is dead are unlocked by reap(); this is for those that it could not know about: a
-- runner that fetched before it had registered, an answer of get_job that was lost, a restored backup.
create or replace function postrider.unlock_orphans(locked_for interval default '30 seconds') returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  orphaned record;
begin
  select array_agg(o.locked_by) as runners, coalesce(sum(o.jobs), 0)::int as jobs into orphaned
  from postrider.locked_orphan o
  where o.since < now() - locked_for;
  if orphaned.jobs > 0 then
    perform postrider.unlock_jobs(orphaned.runners);
  end if;
  return orphaned.jobs;
end
$$;
comment on function postrider.unlock_orphans(interval) is
  'Unlocks jobs that have been locked for longer than this by runners that are unknown, stopped or reaped; returns how many.';

-- An attempt whose delivery is still 'delivering' under it is marked by anyone who claims the delivery next.
-- What is left are attempts whose delivery was cancelled or taken over while their runner died. No index
-- finds unfinished attempts (a column in an index forbids HOT updates when it changes), so the search is
-- bounded by the last minutes of the runner's life, and by the number of runners: those first that were killed,
-- since a restart of many leaves nothing.
create or replace function postrider.abandon_of_dead_runners(within interval) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  attempts uuid[];
  deliveries uuid[];
begin
  select array_agg(s.attempt_id), array_agg(s.delivery_id) into attempts, deliveries
  from postrider.started_by_the_gone(within) as s;
  if attempts is null then
    return 0;
  end if;
  perform postrider.forget_claims(deliveries, attempts);
  return postrider.abandon(attempts);
end
$$;
comment on function postrider.abandon_of_dead_runners(interval) is
  'Marks the attempts of started_by_the_gone() as abandoned; returns how many.';

create or replace function postrider.started_by_the_gone(within interval, runners_max int default 20)
returns table (attempt_id uuid, delivery_id uuid, tenant_id uuid, runner text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  gone record;
begin
  for gone in
    select r.id, r.seen_at from postrider.runner r
    where coalesce(r.reaped_at, r.stopped_at) between now() - within and now() - interval '30 seconds'
    order by r.reaped_at is null, r.seen_at desc limit runners_max
  loop
    return query
    select a.id, a.delivery_id, a.tenant_id, a.runner
    from postrider.attempt a
    where a.runner = gone.id and a.outcome = 'started'
      and a.id between postrider.id_at(gone.seen_at - interval '5 minutes')
        and postrider.id_at(gone.seen_at + interval '5 minutes')
      and not exists (
        select from postrider.delivery d
        where d.id = a.delivery_id and d.state = 'delivering' and d.claim = a.id);
  end loop;
end
$$;
comment on function postrider.started_by_the_gone(interval, int) is
  'Attempts that a runner had begun which died or stopped within this time, and that no claim will find because their delivery is not delivering under them.';

-- janitor: remove job rows that will never do anything.
--
-- A runner that is killed between finishing a delivery and completing its job leaves the row exhausted and
-- without a key (the next job took it). Jobs of deliveries that do not exist or are finished would run and do
-- nothing, perhaps in weeks.
--
-- Cost: one pass over the jobs, and an index probe for each. Unlocked rows only.
create or replace function postrider.janitor(who text default session_user, batch int default 1000)
returns table (removed text, count int)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
  dead int;
  pointless int;
begin
  select count(*) into dead from graphile_worker.complete_jobs(array(
    select j.id from graphile_worker.jobs j
    where j.locked_at is null and j.attempts >= j.max_attempts and j.key is null
    limit batch));
  select count(*) into pointless from graphile_worker.complete_jobs(array(
    select j.job_id from postrider.pointless_jobs(batch) as j));

  return query
  select r.what, r.count from (values ('dead', dead), ('pointless', pointless)) as r (what, count)
  where r.count > 0;
  if found then
    perform postrider.audit(who, 'janitor', 'service', null, null,
      jsonb_build_object('dead', dead, 'pointless', pointless));
  end if;
end
$$;
comment on function postrider.janitor(text, int) is
  'Removes job rows that will never do anything: exhausted without a key, or of a delivery that does not exist or is finished. Returns how many; nothing on a healthy system. Runs every minute.';

-- The sub-select is one that the planner cannot turn into a join: a join would read all deliveries, this
-- probes the index of one partition for each job.
create or replace function postrider.pointless_jobs(batch int, idle_for interval default '5 minutes')
returns table (job_id bigint, delivery_id uuid, tenant_id uuid, found_state text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  select j.id, j.delivery_id, (d).tenant_id, coalesce((d).state, 'missing')
  from (
    select j.id, substr(j.key, 3)::uuid as delivery_id,
      (select d from postrider.delivery d where d.id = substr(j.key, 3)::uuid limit 1) as d
    from graphile_worker.jobs j
    where j.task_identifier = 'deliver' and j.locked_at is null and j.updated_at < now() - idle_for
      and j.key ~ '^d:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
    offset 0
  ) as j
  where (d).id is null or (d).finished_at is not null
  limit batch;
end
$$;
comment on function postrider.pointless_jobs(int, interval) is
  'Unlocked jobs that nobody has touched for longer than this and whose delivery does not exist or is finished.';

-- clean_up: remove small rows that have had their time. Cost: index probes; a batch a call.
create or replace function postrider.clean_up(batch int default 5000) returns table (removed text, count int)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  keys int;
  runners int;
  incidents int;
  ordering_keys int;
  batches int;
  answers int;
begin
  delete from postrider.idempotency k
  using (
    select tenant_id, key from postrider.idempotency
    where expires_at < now() order by expires_at limit batch for update skip locked
  ) as expired
  where k.tenant_id = expired.tenant_id and k.key = expired.key;
  get diagnostics keys = row_count;

  delete from postrider.svix_answer a
  where a.hash in (
    select hash from postrider.svix_answer
    where expires_at < now() order by expires_at limit batch for update skip locked);
  get diagnostics answers = row_count;

  delete from postrider.runner r
  where r.id in (
    select id from postrider.runner
    where coalesce(reaped_at, stopped_at) < now() - interval '7 days' limit batch for update skip locked);
  get diagnostics runners = row_count;

  delete from postrider.incident i
  where i.id in (
    select id from postrider.incident
    where closed_at < now() - interval '90 days' limit batch for update skip locked);
  get diagnostics incidents = row_count;

  -- Their numbers are not begun again: positions are of one sequence for all.
  delete from postrider.ordering_lock k
  using (
    select tenant_id, ordering_key from postrider.ordering_lock
    where used_on < current_date - 1 order by used_on limit batch for update skip locked
  ) as unused
  where k.tenant_id = unused.tenant_id and k.ordering_key = unused.ordering_key
    and not exists (select from postrider.ordering_line l where l.tenant_id = k.tenant_id and l.ordering_key = k.ordering_key);
  get diagnostics ordering_keys = row_count;

  -- Those whose last deliveries were cancelled, or retried by a person: nobody else ends them.
  delete from postrider.batch b
  where b.id in (
    select o.id
    from (select c.id from postrider.batch c where c.id < postrider.id_at(now() - interval '1 hour') order by random() limit 200) as o
    where cardinality(postrider.members_of_batch(o.id)) = 0);
  get diagnostics batches = row_count;

  return query
  select r.what, r.count
  from (values ('ordering_lock', ordering_keys), ('batch', batches), ('idempotency', keys), ('svix_answer', answers),
    ('runner', runners), ('incident', incidents)) as r (what, count)
  where r.count > 0;
end
$$;
comment on function postrider.clean_up(int) is
  'Removes expired idempotency keys and kept answers, batches without open deliveries, locks of ordering keys that nobody has published with since the day before, runners that have been gone for 7 days and incidents that were closed 90 days ago, a batch a call; returns how many. Runs every minute.';
