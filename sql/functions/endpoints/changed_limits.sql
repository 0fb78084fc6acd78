-- A changed limit reaches what waits: deliveries that the old one has put off are planned by the new one.
--
-- No matter who changes rate_per_second or max_in_flight, and how: a trigger adds the endpoint's 'replan' job.
-- A runner takes what is put off, a batch at a time and the oldest first, asks the limits for each again and puts it
-- off until then, or not at all. Slots of the rate before are void (rate_version).
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
  return new;
end
$$;
comment on function postrider.note_changed_limits() is
  'Trigger on endpoint: has what waits for a limit planned again when the limit was changed.';

create or replace trigger endpoint_limits
before update of rate_per_second, max_in_flight on postrider.endpoint
for each row
when (new.rate_per_second is distinct from old.rate_per_second or new.max_in_flight is distinct from old.max_in_flight)
execute function postrider.note_changed_limits();

-- put_off: a batch of what limits have put off and the present ones have not, by id.
--
-- Cost: one pass over the open deliveries of the endpoint for all batches together, and an index probe for each that
-- is put off.
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
    and d.state = 'pending' and d.put_off_until > now()
    and (j.payload -> 'r' is null or e.rate_per_second is null
      or coalesce((j.payload -> 'r' ->> 'rateVersion')::int, 0) <> e.rate_version)
  order by d.id
  limit batch;
end
$$;
comment on function postrider.put_off(uuid, uuid, uuid, int) is
  'Deliveries of an endpoint, between two ids, that a limit has put off and that have no slot of its present rate.';
