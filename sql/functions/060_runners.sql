-- register_runner: make a runner known before it claims anything; its pool id is locked_by of its jobs.
create or replace function postrider.register_runner(runner text, host text, pid int) returns int
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into postrider.runner as r (id, host, pid) values (register_runner.runner, register_runner.host, register_runner.pid)
  on conflict (id) do update set seen_at = clock_timestamp()
  returning lock_id
$$;
comment on function postrider.register_runner(text, text, int) is
  'Registers a runner (again after a reconnect); returns the key of the session advisory lock (732, key) that it is to hold.';

create or replace function postrider.stop_runner(runner text) returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  update postrider.runner set stopped_at = clock_timestamp() where id = stop_runner.runner
$$;
comment on function postrider.stop_runner(text) is 'Notes that a runner has stopped in good order.';
