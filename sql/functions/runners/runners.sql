-- session_name: what the session by which a runner is known to live calls itself.
-- A name of a session is cut at 63 bytes; ids of runners are ASCII.
create or replace function postrider.session_name(runner text) returns text
language sql immutable parallel safe
return left('postrider-presence ' || runner, 63);
comment on function postrider.session_name(text) is 'application_name of the session by which a runner is known to live.';

-- has_session: whether the session by which a runner is known to live is there.
--
-- A session that died with its process or host is gone from pg_stat_activity. The columns read here are shown to
-- every role. Nobody can stand in for a runner: the session must have logged in as the same role. An advisory
-- lock would not do: every role that can connect can hold it. Only sessions of this database count: a copy on the same
-- server has the rows of the runners of its original, whose sessions are in the same view.
create or replace function postrider.has_session(r postrider.runner) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from pg_stat_activity a
    where a.pid = r.session_pid and a.usesysid = r.session_role and a.datname = current_database()
      and a.application_name = postrider.session_name(r.id))
$$;
comment on function postrider.has_session(postrider.runner) is
  'Whether the connection is there by which the runner is known to live. While it is, the runner is not reaped.';

-- register_runner: make a runner known before it claims anything; its id is locked_by of its jobs.
--
-- The name is set here and not at connect, so that a pooler that resets the session takes it away.
create or replace function postrider.register_runner(runner text, host text, pid int, out reaped boolean)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  role oid := (select a.usesysid from pg_stat_activity a where a.pid = pg_backend_pid());
begin
  perform set_config('application_name', postrider.session_name(register_runner.runner), false);
  insert into postrider.runner as r (id, host, pid, session_pid, session_role)
  values (register_runner.runner, register_runner.host, register_runner.pid, pg_backend_pid(), role)
  on conflict (id) do update set session_pid = excluded.session_pid, session_role = excluded.session_role,
    seen_at = case when r.reaped_at is null then clock_timestamp() else r.seen_at end
  returning r.reaped_at is not null into register_runner.reaped;
end
$$;
comment on function postrider.register_runner(text, text, int) is
  'Registers a runner, again after a reconnect: it is known to live while this session is there. Returns whether it was found dead meanwhile and must end.';

create or replace function postrider.refuse_unless_living(runner text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.refuse_unadopted();
  if not exists (
    select from postrider.runner r where r.id = refuse_unless_living.runner and r.reaped_at is null) then
    raise exception 'runner % is not registered or was found dead', runner using errcode = '55000';
  end if;
end
$$;
comment on function postrider.refuse_unless_living(text) is
  'Raises 55000 for a runner that is not registered or was found dead, as others can have its jobs by now; and on a copy of the database that nobody has adopted, where no runner is to work.';

create or replace function postrider.stop_runner(runner text) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  update postrider.runner set stopped_at = clock_timestamp() where id = stop_runner.runner
$$;
comment on function postrider.stop_runner(text) is 'Notes that a runner has stopped in good order.';

-- heartbeat: say that a runner lives, and see who else does. Cost: one HOT update a second and runner.
create or replace function postrider.heartbeat(runner text) returns table (id text, seen_at timestamptz)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  update postrider.runner r set seen_at = clock_timestamp()
  where r.id = heartbeat.runner and r.reaped_at is null;
  return query
  select r.id, r.seen_at from postrider.runner r where r.reaped_at is null and r.stopped_at is null;
end
$$;
comment on function postrider.heartbeat(text) is
  'Notes that the runner lives; returns the runners that count as living with their last heartbeat. The caller is not among them once it was reaped.';

-- reap: hand on the work of runners that are dead.
--
-- The caller says whose heartbeat stood still for long enough *before its eyes*; after an outage of the
-- database every heartbeat is old and nobody is dead. A runner whose session is still there is alive
-- (stopped by a debugger, starved of CPU) and is left alone.
-- Their jobs are unlocked; the runner that takes them next marks the attempts that were cut off as abandoned.
create or replace function postrider.reap(silent text[]) returns text[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  dead text[];
begin
  with candidate as materialized (
    select s.id
    from postrider.runner s
    where s.id = any (silent) and s.reaped_at is null and s.stopped_at is null
    for update skip locked
  )
  update postrider.runner r
  set reaped_at = clock_timestamp()
  from candidate c
  where r.id = c.id and not postrider.has_session(r);

  dead := array(
    select r.id from postrider.runner r
    where r.id = any (silent) and r.reaped_at > clock_timestamp() - interval '1 minute');
  if cardinality(dead) > 0 then
    perform postrider.part_cut_off(dead);
    perform postrider.unlock_jobs(dead);
    perform postrider.audit('reaper', 'reap', 'runner', r.id, null, jsonb_build_object('seenAt', r.seen_at))
    from postrider.runner r
    where r.id = any (dead) and r.reaped_at >= now();
  end if;
  return dead;
end
$$;
comment on function postrider.reap(text[]) is
  'Of these runners, marks those as dead whose session is gone, and makes their jobs runnable: at once, and within 30 seconds those of deliveries that were cut off before. Returns the dead.';

-- part_cut_off: a payload that kills its runner takes with it whatever that runner sends at the time. Taken over together,
-- all of that would be lost again with the next runner, and be postponed with the payload after the third. So
-- what is cut off for the second time or more comes back at a random moment of half a minute, when the payload meets
-- only what is sent at that moment. The first time, which is nearly always a crash or a kill, nothing waits.
create or replace function postrider.part_cut_off(runners text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  sent uuid[] := array(
    select (j.payload ->> 'd')::uuid from graphile_worker._private_jobs j
    where j.locked_by = any (runners) and j.payload ->> 'd' is not null);
  ids record;
begin
  select * into ids from postrider.id_range(sent);
  update graphile_worker._private_jobs j
  set run_at = clock_timestamp() + random() * interval '30 seconds'
  from postrider.delivery d
  where d.id = any (sent) and d.id between ids.min_id and ids.max_id
    and d.state = 'delivering' and d.abandoned_count > 0 and j.key = 'd:' || d.id and j.locked_by = any (runners);
end
$$;
comment on function postrider.part_cut_off(text[]) is
  'Spreads over 30 seconds what these lost runners were sending and what had been cut off before. Call it before their jobs are unlocked.';

create or replace function postrider.unlock_jobs(runners text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform graphile_worker.force_unlock_workers(runners);
  -- Unlocking wakes nobody by itself.
  perform pg_notify('jobs:insert', '{"count":50}');
end
$$;
comment on function postrider.unlock_jobs(text[]) is
  'Makes the jobs locked by these worker pools runnable and wakes the runners. Never call it for one that lives.';

-- return_unknown_jobs: give back the jobs that a living runner holds without knowing it.
--
-- The answer to a fetch can be lost after its commit. Only the runner itself can tell, between two fetches.
-- The statement is that of graphile-worker's own returnJobs, for which it has no function.
-- Cost: one pass over the jobs.
create or replace function postrider.return_unknown_jobs(runner text, known bigint[]) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  returned int;
begin
  update graphile_worker._private_jobs j
  set attempts = greatest(0, j.attempts - 1), locked_by = null, locked_at = null
  where j.locked_by = return_unknown_jobs.runner and j.id <> all (known);
  get diagnostics returned = row_count;
  if returned > 0 then
    perform pg_notify('jobs:insert', '{"count":50}');
  end if;
  return returned;
end
$$;
comment on function postrider.return_unknown_jobs(text, bigint[]) is
  'Makes the jobs runnable that are locked by this runner but are not among those it knows of; returns how many. Only the runner itself can call it, between two fetches.';
