-- detach_partition: take a past day out of its table, for runners that do not own the table.
--
-- `detach ... concurrently` lets nobody wait, but takes the owner of the table, and cannot be part of a function.
-- Where a runner is not the owner it calls this instead, again and again.
--
-- Locks: ACCESS EXCLUSIVE on the table and the partition, for an instant. While it waits for transactions that use
--        the table, publishing waits behind it: so it gives up after 100 ms (55P03), and the caller tries later.
create or replace function postrider.detach_partition(day date, parent text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
declare
  part record;
begin
  if detach_partition.day >= (clock_timestamp() at time zone 'UTC')::date - 1 then
    raise exception '% is in use', detach_partition.day using errcode = '55000',
      hint = 'Only past days are detached. postrider.retention_plan() says which are due.';
  end if;
  for part in
    select p.name, p.state from postrider.partition p
    where p.day = detach_partition.day and p.parent = detach_partition.parent and p.state <> 'detached'
  loop
    execute format('alter table postrider.%I detach partition postrider.%I %s', detach_partition.parent, part.name,
      case part.state when 'detaching' then 'finalize' else '' end);
  end loop;
end
$$;
comment on function postrider.detach_partition(date, text) is
  'Detaches the partition of a past day from event, delivery or attempt, for a runner that does not own them; drop_day() drops it, or attaches it again. Raises 55P03 when that takes more than 100 ms, for which publishing can wait.';
