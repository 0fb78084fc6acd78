-- drain_runner: have one runner stop as SIGTERM would, without access to its machine.
--
-- The runner reads the request with its next heartbeat, takes no more jobs, lets its attempts end (or hands them
-- on after SHUTDOWN_SECONDS) and exits 0. A supervisor that restarts whatever ends will start a new one.
--
-- Locks: the row of the runner, for which its heartbeat waits until the caller commits. Cost: one index probe, and
-- one pass over the jobs to count those that it holds.
create or replace function postrider.drain_runner(runner text, who text default session_user) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target postrider.runner;
begin
  select * into target from postrider.runner r where r.id = drain_runner.runner for no key update;
  if target.id is null then
    raise exception 'there is no runner %', runner using errcode = 'P0002',
      hint = 'Ids are in postrider.runner_health.';
  end if;
  if target.reaped_at is not null or target.stopped_at is not null then
    raise exception 'runner % has ended already', runner using errcode = '55000',
      hint = 'Nothing is left to do: it holds no work. postrider.runner_health lists the live ones.';
  end if;
  if target.drain_requested_at is null then
    update postrider.runner r set drain_requested_at = clock_timestamp() where r.id = target.id;
    perform postrider.audit(who, 'drain_runner', 'runner', target.id);
  end if;
  return (select count(*) from graphile_worker.jobs j where j.locked_by = target.id);
end
$$;
comment on function postrider.drain_runner(text, text) is
  'Has a runner take no more jobs, finish those it has, and exit 0, as SIGTERM does; it notices within a second or two. Returns how many jobs it holds at this moment; runner_health shows it as draining, then stopped. Raises P0002 when there is none, 55000 when it has ended.';
