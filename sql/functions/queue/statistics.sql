-- analyze_queue: tells the planner when the queue is no longer as the last vacuum found it.
--
-- The jobs table is empty one minute and full the next. After a vacuum of the empty table the planner
-- takes it for one row until the next analyze, which autovacuum begins a minute later at best, and
-- graphile-worker's fetch then joins all jobs to those that it has chosen: 600 to 1,000 ms a fetch with
-- 10,000 jobs waiting, not 2. Settings of the session cannot prevent it: both plans cost the same for one row.
--
-- Locks: the table against a vacuum at the same time, for which it does not wait.
-- Cost:  two counters. An analyze of the table, at most 30,000 rows of it, when it has grown fourfold.
create or replace function postrider.analyze_queue() returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  believed real;
  living bigint;
begin
  select greatest(c.reltuples, 0), pg_stat_get_live_tuples(c.oid) into believed, living
  from pg_class c where c.oid = 'graphile_worker._private_jobs'::regclass;
  if living < 500 or living < 4 * believed then
    return false;
  end if;
  perform postrider.make_commit_forgettable(); -- a crash resets what it goes by, too
  analyze graphile_worker._private_jobs;
  return true;
exception when lock_not_available then
  return false;
end
$$;
comment on function postrider.analyze_queue() is
  'Analyzes the jobs table when it holds at least 500 rows and four times what the planner believes. Returns whether it did; also false while it is being vacuumed or analyzed.';
