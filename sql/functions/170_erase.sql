-- Erasing payloads on request. Rows stay, so that the audit log still says what was sent to whom and when;
-- what the producer gave and what receivers answered goes. It leaves the disk with the next vacuum, and
-- backups when they expire.

-- erase_event: erase the payload of one event and the answers to it.
--
-- Its open deliveries are cancelled: there is nothing to send any more. One that a runner has locked at this
-- moment is skipped (see cancel_deliveries_of); should another attempt of it be due, that is written down as
-- blocked, without a request.
-- Locks: the event, its open deliveries and its attempts. Cost: an index probe a delivery and attempt.
create or replace function postrider.erase_event(event uuid, who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  tenant uuid;
begin
  select e.tenant_id into tenant from postrider.event e where e.id = erase_event.event for update;
  if tenant is null then
    raise exception 'there is no event %', event using errcode = 'P0002',
      hint = 'It may have been dropped with its day.';
  end if;
  perform postrider.erase_events(array[event]);
  perform postrider.audit(who, 'erase_event', 'event', event::text, tenant);
end
$$;
comment on function postrider.erase_event(uuid, text) is
  'Erases the data of an event and what receivers answered, and cancels its open deliveries; ids, times and outcomes stay. Raises P0002 when there is none.';

create or replace function postrider.erase_tenant_data(
  tenant text, who text default session_user, batch int default 1000
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  target postrider.tenant := postrider.lock_tenant(tenant);
  events uuid[];
begin
  events := array(
    select e.id from postrider.event e
    where e.tenant_id = target.id and e.data is not null
    order by e.id limit batch for update);
  if cardinality(events) > 0 then
    perform postrider.erase_events(events);
    perform postrider.audit(who, 'erase_tenant_data', 'tenant', target.id::text, target.id,
      jsonb_build_object('events', cardinality(events)));
  end if;
  return cardinality(events);
end
$$;
comment on function postrider.erase_tenant_data(text, text, int) is
  'Erases, as erase_event() does, a batch of a tenant''s events, the oldest first; returns how many. Called until it returns 0.';

create or replace function postrider.erase_events(events uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  deliveries uuid[];
begin
  select * into ids from postrider.id_range(events);
  update postrider.event e set data = null
  where e.id = any (events) and e.id between ids.min_id and ids.max_id;

  deliveries := array(
    select d.id from postrider.delivery d
    where d.event_id = any (events) and d.id >= postrider.id_floor(ids.min_id));
  perform postrider.cancel_open(array(
    select d.id from postrider.delivery d
    where d.event_id = any (events) and d.id >= postrider.id_floor(ids.min_id) and d.finished_at is null
    order by d.id for update skip locked));
  update postrider.attempt a set response_body = null, response_headers = null
  where a.delivery_id = any (deliveries) and a.id >= postrider.id_floor(ids.min_id);
end
$$;
comment on function postrider.erase_events(uuid[]) is
  'Erases the data of events and the answers to them, and cancels their open deliveries.';
