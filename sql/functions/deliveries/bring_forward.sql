-- bring_forward: deliveries that found no permit at their endpoint, and were put off for minutes, are due as soon as there
-- are permits: a runner asks for so many as it has room for, the oldest first (src/runner/bring-forward.ts).
--
-- A runner goes through the open deliveries of an endpoint from id to id, 2,000 a call, so that what is no use here, such as
-- what waits for a retry, is passed over once and not with each call. What has a slot of its rate keeps it; what found none
-- within an hour is put off for longer than five minutes, and is not meant.
--
-- None are brought while something in the line has been due for a quarter of a second: runners have enough to do, each that is
-- brought costs as much as one that is put off, and it would only wait behind the others.
--
-- Locks: the delivery rows, for this short transaction. Cost: an index scan of up to 2,000 open deliveries and endpoint, and
-- the new job of each that is brought.
create or replace function postrider.bring_forward(endpoints uuid[], counts int[], after uuid[], runner text)
returns table (endpoint_id uuid, last_id uuid, brought int, is_end boolean)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  nth int;
  found_here record;
begin
  perform postrider.refuse_unless_living(runner);
  perform from graphile_worker._private_jobs j
  where j.is_available and j.priority = postrider.job_priority('schedule') and j.run_at < now() - interval '250 milliseconds'
  order by j.run_at limit 1;
  if found then
    return;
  end if;
  for nth in 1 .. cardinality(endpoints) loop
    select * into found_here from postrider.put_off_for_permits(endpoints[nth], after[nth], counts[nth]);
    if cardinality(found_here.ids) > 0 then
      -- Between two of them a microsecond, so that the older stays before the newer.
      perform postrider.snooze_deliveries(array_agg(w.id), array_agg(w.due),
        array_agg(clock_timestamp() + w.n * interval '1 microsecond'), array_agg(null::json),
        in_hand => array_agg(false))
      from unnest(found_here.ids, found_here.dues) with ordinality as w (id, due, n);
    end if;
    return query select endpoints[nth], found_here.last_id, cardinality(found_here.ids), found_here.is_end;
  end loop;
end
$$;
comment on function postrider.bring_forward(uuid[], int[], uuid[], text) is
  'Makes deliveries due that found no permit at their endpoint and were put off (parallel arrays: endpoint, how many at most, behind which id), for a living runner. Returns for each endpoint up to which id it looked, how many were brought, and whether there are no more behind; nothing while runners have enough to do.';

create or replace function postrider.put_off_for_permits(
  endpoint uuid, after uuid, count int, out ids uuid[], out dues int[], out last_id uuid, out is_end boolean
)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  looked_at constant int := 2000;
  newest constant uuid := postrider.id_at(now() + interval '1 minute');
  seen int;
begin
  with looked as materialized (
    select d.id, d as delivery
    from postrider.delivery d
    where d.endpoint_id = endpoint and d.finished_at is null and d.id > after and d.id < newest
    order by d.id
    limit looked_at
  ),
  chosen as (
    select l.id, (l.delivery).due_attempt
    from looked l
    join graphile_worker._private_jobs j on j.key = 'd:' || l.id
    where (l.delivery).state = 'pending' and j.locked_at is null and j.payload -> 'r' is null
      and (l.delivery).put_off_until > now() and (l.delivery).put_off_until < now() + interval '5 minutes 5 seconds'
      and postrider.stands_for_batch(l.delivery)
    order by l.id
    limit count
  )
  select array(select c.id from chosen c order by c.id), array(select c.due_attempt from chosen c order by c.id),
    (select l.id from looked l order by l.id desc limit 1), (select count(*) from looked)
  into ids, dues, last_id, seen;
  if cardinality(ids) = count then
    last_id := ids[count];
  end if;
  is_end := seen < looked_at and cardinality(ids) < count;
end
$$;
comment on function postrider.put_off_for_permits(uuid, uuid, int) is
  'Of the 2,000 open deliveries of an endpoint behind an id, so many that were put off for lack of a permit: their ids and due attempts, up to which id it looked, and whether there are no more behind.';
