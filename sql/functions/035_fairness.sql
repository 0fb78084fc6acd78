-- Fairness among tenants: the part of a tenant's backlog above its share waits behind everybody else.
--
-- Priorities of jobs, the smaller the sooner: -10 asked for by a person, 0 first attempts, 5 retries,
-- 10 and 20 the part of a tenant above 1,000 and 10,000 due deliveries. Whoever has waited for a minute
-- goes back to 0, so that nobody waits for ever.

create or replace function postrider.first_priority(due int) returns int
language sql immutable parallel safe
return case when due > 10000 then 20 when due > 1000 then 10 else 0 end;
comment on function postrider.first_priority(int) is
  'Priority of a first attempt whose tenant has so many due deliveries before it.';

-- sample_backlog: count who has how much due. Cost: at most 20,000 index entries, and none but an index
-- probe while nothing is due. Every runner calls it each second, one at a time (the duty `backlog`).
create or replace function postrider.sample_backlog() returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  over int;
  raised bigint[];
begin
  if not postrider.take_duty('backlog') then
    return null;
  end if;
  with due as (
    select d.tenant_id, d.state from postrider.delivery d
    where d.finished_at is null and d.next_attempt_at between now() - interval '10 minutes' and now()
    order by d.next_attempt_at desc
    limit 20000
  ),
  counted as (
    select tenant_id, count(*)::int as due from due where state = 'pending'
    group by tenant_id having count(*) > 1000
  )
  insert into postrider.tenant_backlog as b (tenant_id, due, sampled_at)
  select tenant_id, due, clock_timestamp() from counted
  on conflict (tenant_id) do update set due = excluded.due, sampled_at = excluded.sampled_at;
  get diagnostics over = row_count;
  delete from postrider.tenant_backlog where sampled_at < now();

  raised := array(
    select j.id from graphile_worker._private_jobs j
    where j.is_available and j.priority between 10 and 20 and j.run_at < now() - interval '1 minute'
    limit 500);
  if cardinality(raised) > 0 then
    perform graphile_worker.reschedule_jobs(raised, priority => 0);
  end if;
  return over;
end
$$;
comment on function postrider.sample_backlog() is
  'Counts due deliveries by tenant for the priorities of publish, and raises jobs that have waited for a minute. Returns how many tenants are above their share, null when another process is counting.';
