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
      hint = 'Perhaps it was dropped with its day.';
  end if;
  perform postrider.erase_events(array[event]);
  perform postrider.audit(who, 'erase_event', 'event', event::text, tenant);
end
$$;
comment on function postrider.erase_event(uuid, text) is
  'Erases the data of an event and the responses of receivers, and cancels its open deliveries; ids, times and outcomes stay. Raises P0002 when there is none.';

-- erase_tenant_data: a batch of a tenant's events, the oldest first; called until it returns 0.
--
-- What was on the wire meanwhile is answered after that, and its answer written down. Its deliveries are named in
-- audit_log, and a call that finds no more data erases what was answered to them since.
-- Locks: the tenant, the events of the batch, and what erase_event() locks. Cost: as erase_event(), an event.
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
      jsonb_build_object('events', cardinality(events), 'underWay', postrider.under_way_of(events)));
  else
    perform postrider.erase_late_answers(target.id);
  end if;
  return cardinality(events);
end
$$;
comment on function postrider.erase_tenant_data(text, text, int) is
  'Erases, as erase_event() does, a batch of a tenant''s events, the oldest first; returns how many. Called until it returns 0, and once more when what was in flight has ended.';

-- erase_due: a batch of those whose producer said when; runners call it every minute.
--
-- What is on the wire meanwhile is answered after that, and its answer written down: it is looked at again, until
-- nothing of the event is under way. Where one cannot be erased, the others of its batch are, each by itself.
-- Locks: the rows of the batch, skipping locked ones, and what erase_event() locks. Cost: as erase_event(), an event.
create or replace function postrider.erase_due(batch int default 1000) returns table (erased text, count int)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
declare
  events uuid[] := array(
    select d.event_id from postrider.event_erasure d
    where d.erase_at <= now() order by d.erase_at limit batch for update skip locked);
  failed uuid[] := '{}';
  event uuid;
begin
  begin
    perform postrider.erase_in_time(events);
  exception when others then
    foreach event in array events loop
      begin
        perform postrider.erase_in_time(array[event]);
      exception when others then
        raise warning 'the data of event % is not erased: %', event, sqlerrm using errcode = sqlstate;
        failed := failed || event;
      end;
    end loop;
    update postrider.event_erasure d set erase_at = now() + interval '5 minutes' where d.event_id = any (failed);
  end;
  return query
  select r.what, r.count
  from (values ('event', cardinality(events) - cardinality(failed)), ('failed', cardinality(failed))) as r (what, count)
  where r.count > 0;
end
$$;
comment on function postrider.erase_due(int) is
  'Erases, as erase_event() does, a batch of the events whose time in event_erasure has come, and again in five minutes those of which something is in progress or that failed; returns how many. Runs every minute.';

create or replace function postrider.erase_in_time(events uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  under_way uuid[];
begin
  if cardinality(events) > 0 then
    perform postrider.erase_events(events);
    under_way := array(
      select d.event_id from postrider.delivery d where d.id = any (postrider.under_way_of(events)));
    delete from postrider.event_erasure d where d.event_id = any (events) and d.event_id <> all (under_way);
    update postrider.event_erasure d set erase_at = now() + interval '5 minutes' where d.event_id = any (under_way);
  end if;
end
$$;
comment on function postrider.erase_in_time(uuid[]) is
  'Erases the data of events whose time has come, and notes the ones that are to be looked at again.';

-- Claimed, or locked by a claim or a finish at this moment, so that its cancelling was skipped.
create or replace function postrider.under_way_of(events uuid[]) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  floor uuid := postrider.id_floor((select min_id from postrider.id_range(events)));
begin
  return array(
    select d.id from postrider.delivery d
    where d.event_id = any (events) and d.id >= floor and (d.claim is not null or d.finished_at is null));
end
$$;
comment on function postrider.under_way_of(uuid[]) is
  'Deliveries of these events whose response can still be recorded.';

-- A day is far longer than an attempt and any outage through which its answer is kept.
create or replace function postrider.erase_late_answers(tenant uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  deliveries uuid[] := array(
    select u.id::uuid
    from postrider.audit_log l, jsonb_array_elements_text(l.detail -> 'underWay') as u (id)
    where l.tenant_id = erase_late_answers.tenant and l.action = 'erase_tenant_data'
      and l.id >= postrider.id_at(now() - interval '1 day'));
  floor uuid := postrider.id_floor((select min_id from postrider.id_range(deliveries)));
begin
  update postrider.attempt a set response_body = null, response_headers = null
  where a.delivery_id = any (deliveries) and a.id >= floor;
end
$$;
comment on function postrider.erase_late_answers(uuid) is
  'Erases the responses to deliveries that were in progress when a tenant''s data was erased within the last day.';

create or replace function postrider.erase_events(events uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids record;
  deliveries uuid[];
  in_lines uuid[];
begin
  select * into ids from postrider.id_range(events);
  update postrider.event e set data = null, svix = null
  where e.id = any (events) and e.id between ids.min_id and ids.max_id;

  select array_agg(d.id), array_agg(d.id) filter (where d.ordering_key is not null) into deliveries, in_lines
  from postrider.delivery d
  where d.event_id = any (events) and d.id >= postrider.id_floor(ids.min_id);
  perform postrider.cancel_deliveries(array(
    select d.id from postrider.delivery d
    where d.event_id = any (events) and d.id >= postrider.id_floor(ids.min_id) and d.finished_at is null
    order by d.id for update skip locked));
  if in_lines is not null then
    perform postrider.leave_lines(in_lines);
  end if;
  update postrider.attempt a set response_body = null, response_headers = null
  where a.delivery_id = any (deliveries) and a.id >= postrider.id_floor(ids.min_id);
end
$$;
comment on function postrider.erase_events(uuid[]) is
  'Erases the data of events and the responses to them, and cancels their open deliveries.';

-- erase_answer: what a receiver answered to one attempt. That it was erased is said in its place.
create or replace function postrider.erase_answer(attempt uuid, who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  erased record;
begin
  update postrider.attempt a set response_body = 'EXPUNGED', response_headers = null
  where a.id = erase_answer.attempt and a.outcome <> 'started' and postrider.in_scope(a.tenant_id)
  returning a.delivery_id, a.tenant_id into erased;
  if erased.delivery_id is null then
    raise exception 'there is no attempt % that has ended', attempt using errcode = 'P0002',
      hint = 'Old ones are dropped with their day.';
  end if;
  perform postrider.audit(who, 'erase_answer', 'delivery', erased.delivery_id::text, erased.tenant_id,
    jsonb_build_object('attempt', attempt));
end
$$;
comment on function postrider.erase_answer(uuid, text) is
  'Erases the response to an attempt that has ended: its headers, and its body, in whose place EXPUNGED is kept. Raises P0002 when there is none.';
