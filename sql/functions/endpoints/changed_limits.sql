-- A changed limit reaches what waits: deliveries that the old one has put off are planned by the new one. So do a
-- changed collapse_ms, which has them wait for newer ones, and changed batch_bounds, which have them wait for a full batch.
--
-- No matter who changes one of these, and how: a trigger adds the endpoint's 'replan' job.
-- A runner takes what is put off, a batch at a time and the oldest first, asks the limits for each again and puts it
-- off until then, or not at all. Slots of the rate before are void (rate_version). What does not depend on limits is done
-- before, in SQL: replan_waits().
--
-- And once more two seconds later: a statement that was putting something off by the old limits as the change was
-- committed is over by then. Those that come later find out by themselves (snooze_many).
create or replace function postrider.note_changed_limits() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if new.rate_per_second is distinct from old.rate_per_second then
    new.rate_version := old.rate_version + 1;
  end if;
  perform postrider.enqueue_endpoint_job('replan', new.id, now());
  perform postrider.enqueue_endpoint_job('replan', new.id, now() + interval '2 seconds', 'replan again');
  if new.collapse_ms is distinct from old.collapse_ms then
    perform postrider.enqueue_hasten(new.id, now());
  end if;
  return new;
end
$$;
comment on function postrider.note_changed_limits() is
  'Trigger on endpoint: has what waits for a limit planned again when the limit was changed.';

create or replace trigger endpoint_limits
before update of rate_per_second, max_in_flight, collapse_ms, batch_bounds on postrider.endpoint
for each row
when (new.rate_per_second is distinct from old.rate_per_second or new.max_in_flight is distinct from old.max_in_flight
  or new.collapse_ms is distinct from old.collapse_ms or new.batch_bounds is distinct from old.batch_bounds)
execute function postrider.note_changed_limits();

-- Its job has another key: a replan of limits, which hastens nothing, is not to replace it. What a slow release has
-- spread would be hastened too, just when somebody lowers a limit because the receiver has too much.
create or replace function postrider.enqueue_hasten(endpoint uuid, run_at timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  select postrider.enqueue_single('replan', json_build_object('e', endpoint, 'h', true), run_at, 'hasten:' || endpoint);
end;
comment on function postrider.enqueue_hasten(uuid, timestamptz) is
  'Adds the replan job that also hastens what waits for newer events, after collapse_ms was changed. Raises 40001 when it could not be added.';

-- replan_waits: 100 a call, the rest by another job in a second.
create or replace function postrider.replan_waits(endpoint uuid, hastens boolean) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  per_second constant int := 100;
  hastened int := 0;
begin
  -- The room of the batch before deliveries, as everywhere.
  perform postrider.refill_batch(endpoint);
  if hastens then
    hastened := postrider.hasten_waiting(endpoint, per_second);
  end if;
  if hastened > 0 then
    perform postrider.enqueue_hasten(endpoint, now() + interval '1 second');
  end if;
  return hastened;
end
$$;
comment on function postrider.replan_waits(uuid, boolean) is
  'What a replan job does before it asks the limits: brings what waits for a full batch and, where it hastens, for newer events in line with what its endpoint says now. Returns how many of the second kind it hastened.';

-- put_off: a batch of what limits have put off and the present ones have not, by id. What goes in one request takes one slot,
-- so that of each batch the first is planned, and wakes the others. What waits until its batch is full is not meant.
--
-- Cost: one pass over the open deliveries of the endpoint for all batches together, and an index probe for each that
-- is put off.
create or replace function postrider.stands_for_batch(delivery postrider.delivery) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
return delivery.batch_id is null or (
  delivery.id = (
    select m.id from postrider.batch b, unnest(b.delivery_ids) as m (id)
    where b.id = delivery.batch_id and exists (
      select from postrider.delivery d where d.id = m.id and d.batch_id = b.id and d.finished_at is null)
    order by m.id limit 1)
  and not exists (
    select from postrider.batch_room r
    where r.endpoint_id = delivery.endpoint_id and r.batch_id = delivery.batch_id));
comment on function postrider.stands_for_batch(postrider.delivery) is
  'Whether a delivery is in no batch, or the first in one that is full.';

create or replace function postrider.put_off(endpoint uuid, after uuid, before uuid, batch int default 500)
returns table (delivery_id uuid, due_attempt int)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  return query
  select d.id, d.due_attempt
  from postrider.delivery d
  join postrider.endpoint e on e.id = d.endpoint_id
  join graphile_worker._private_jobs j on j.key = 'd:' || d.id
  where d.endpoint_id = endpoint and d.finished_at is null and d.id > after and d.id < before
    and d.state = 'pending' and d.put_off_until > now() and postrider.stands_for_batch(d)
    and (j.payload -> 'r' is null or e.rate_per_second is null
      or coalesce((j.payload -> 'r' ->> 'rateVersion')::int, 0) <> e.rate_version)
  order by d.id
  limit batch;
end
$$;
comment on function postrider.put_off(uuid, uuid, uuid, int) is
  'Deliveries of an endpoint, between two ids, that a limit has put off and that have no slot of its present rate.';
