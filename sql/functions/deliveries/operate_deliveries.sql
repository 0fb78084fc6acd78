-- retry_now: make the next attempt of a delivery at once, whatever its schedule says.
--
-- An open delivery becomes due now, ahead of everything else. A finished one is reopened: its retry schedule
-- begins again, its attempts go on counting. Where the circuit of the endpoint is open, the retry is its probe:
-- when it succeeds, the circuit closes and what is held follows. A test passes it and is no probe: its failure says nothing.
--
-- Locks: the delivery, and the circuit of its endpoint if it is open. Cost: a few index probes.
create or replace function postrider.retry_now(delivery uuid, who text default session_user) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  target postrider.delivery := postrider.lock_delivery(delivery);
  waits boolean;
begin
  if target.claim is not null and not postrider.is_cut_off(target.claim) then
    raise exception 'delivery % is in flight', delivery using errcode = '55006',
      hint = 'An attempt is in progress. Look at its outcome, then retry.';
  end if;
  if target.held_reason = 'order' then
    raise exception 'delivery % waits for an earlier event of its ordering key', delivery using errcode = '55000',
      hint = 'Retry or skip the one that has its turn: postrider.line_state.';
  end if;
  perform postrider.refuse_behind_newer(target);
  perform postrider.refuse_unless_accepting(target.endpoint_id);
  perform postrider.refuse_without_data(target.event_id);

  if target.claim is not null then
    perform postrider.abandon(array[target.claim]);
  end if;
  update postrider.circuit c
  set probe_at = null, probe_delivery_id = delivery
  where c.endpoint_id = target.endpoint_id and c.opened_at is not null and target.trigger <> 'test';
  if found then
    perform graphile_worker.remove_job('probe:' || target.endpoint_id);
  end if;
  perform postrider.reopen_deliveries(array[delivery], array[null::text], array[now()], 'manual');
  waits := target.ordering_key is not null and exists (
    select from postrider.delivery d where d.id = retry_now.delivery and d.held_reason = 'order');
  if waits then
    perform postrider.replace_probe(array[target.endpoint_id], array[delivery]);
  end if;
  perform postrider.audit(who, 'retry_now', 'delivery', delivery::text, target.tenant_id,
    jsonb_build_object('stateBefore', target.state, 'attempt', target.attempt_count + 1));
  return case when waits then 'it has its place in the line of its ordering key, and is sent when its turn comes'
    else format('attempt %s is due now', target.attempt_count + 1) end;
end
$$;
comment on function postrider.retry_now(uuid, text) is
  'Makes the next attempt of a delivery due at once; a finished one is reopened with its schedule from the start, a test with one more attempt. One with an ordering key takes its place in the line: in front of everything newer, and behind what is being sent or blocks the key. Raises 55006 while an attempt is in flight, 55000 with the remedy where the endpoint accepts no work, where it waits for its turn, or where the endpoint collapses and a newer one is open.';

-- resend: one attempt more of an event to an endpoint, also to one that never got it, whatever its event types, channels
-- and filter say. A delivery that has ended is reopened, and one that is missing is made, for a single attempt: the
-- first outcome is final, as schedule_step is beyond the end of every retry schedule. An open one becomes due now, and
-- keeps its schedule.
--
-- One with an ordering key that is made takes its place in the line, as retry_now() has it. Where the circuit of the
-- endpoint is open, one that is made is its probe, unless it waits for its turn.
--
-- Locks: the event, so that two calls do not make two deliveries; where there is none the endpoint, as those do that make
-- missed ones; and what retry_now() locks. Cost: a few index probes.
create or replace function postrider.resend(event uuid, endpoint uuid, who text default session_user) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  tenant uuid;
  found postrider.delivery;
  opened uuid;
begin
  select ev.tenant_id into tenant
  from postrider.event ev
  join postrider.endpoint e on e.tenant_id = ev.tenant_id and e.id = resend.endpoint
  where ev.id = resend.event and postrider.in_scope(ev.tenant_id) for update of ev;
  if tenant is null then
    raise exception 'there is no event % for endpoint %', event, endpoint using errcode = 'P0002',
      hint = 'Both have to be of one tenant. Old events are dropped with their day.';
  end if;
  found := postrider.newest_delivery(event, endpoint);
  if found.id is null then
    perform from postrider.endpoint e where e.id = resend.endpoint for no key update;
    found := postrider.newest_delivery(event, endpoint);
  end if;
  if found.id is not null then
    perform postrider.retry_now(found.id, who);
    if found.finished_at is not null then
      perform postrider.allow_one_attempt(array[found.id]);
    end if;
    return found.id;
  end if;
  perform postrider.refuse_unless_accepting(endpoint);
  perform postrider.refuse_without_data(event);
  opened := postrider.open_for_one_attempt(event, endpoint, who);
  perform postrider.audit(who, 'resend', 'delivery', opened::text, tenant,
    jsonb_build_object('event', event, 'endpoint', endpoint));
  return opened;
end
$$;
comment on function postrider.resend(uuid, uuid, text) is
  'Sends an event to an endpoint of its tenant once more, or for the first time whatever it subscribes to; a single attempt where no delivery is open. One with an ordering key takes its place in the line. Returns the delivery. Raises as retry_now() does, and P0002 where the event or endpoint is not found.';

create or replace function postrider.newest_delivery(event uuid, endpoint uuid) returns postrider.delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  newest postrider.delivery;
begin
  select * into newest from postrider.delivery d
  where d.event_id = newest_delivery.event and d.endpoint_id = newest_delivery.endpoint
    and d.id >= postrider.id_floor(newest_delivery.event)
  order by d.id desc limit 1;
  return newest;
end
$$;
comment on function postrider.newest_delivery(uuid, uuid) is 'The delivery of an event to an endpoint; null where there is none.';

-- Where the circuit is open it is opened as held, and then retried as a person retries it, which makes it the probe.
create or replace function postrider.open_for_one_attempt(event uuid, endpoint uuid, who text) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  made uuid;
  opened postrider.delivery;
begin
  select m.id into made
  from postrider.event ev
  join postrider.endpoint e on e.id = open_for_one_attempt.endpoint
  join postrider.tenant t on t.id = e.tenant_id
  left join postrider.circuit c on c.endpoint_id = e.id
  cross join lateral unnest(postrider.open_in_lines(array[ev.tenant_id], array[ev.id], array[e.id],
    array[postrider.held_for(e, t, c, false)], array[now()], array[ev.ordering_key], array[ev.position], 'manual',
    is_late => true)) as m (id)
  where ev.id = open_for_one_attempt.event;
  select * into opened from postrider.delivery d where d.id = made;
  perform postrider.refuse_behind_newer(opened);
  perform postrider.allow_one_attempt(array[opened.id]);
  if opened.held_reason = 'circuit' then
    perform postrider.retry_now(opened.id, who);
  end if;
  return opened.id;
end
$$;
comment on function postrider.open_for_one_attempt(uuid, uuid, text) is
  'Makes a delivery whose first outcome is final, in its place where its event has an ordering key. Raises 55000 where a newer event of that is sent instead.';

create or replace function postrider.refuse_behind_newer(target postrider.delivery) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if target.ordering_key is not null and postrider.has_newer(target) then
    raise exception 'a newer event of the ordering key of delivery % is sent instead', target.id using errcode = '55000',
      hint = 'The endpoint gets the newest one only. Once that has ended, this one can be sent again.';
  end if;
end
$$;
comment on function postrider.refuse_behind_newer(postrider.delivery) is
  'Raises 55000 where the endpoint collapses and a newer event of the ordering key is open.';

-- cancel: end a delivery without delivering it.
--
-- One that is being sent keeps its claim: the attempt on the wire still writes down its outcome, and
-- finish_many leaves the delivery cancelled. Where its runner is dead nobody will, so the attempt is
-- abandoned here.
--
-- Locks: the delivery and its job. Cost: a few index probes.
create or replace function postrider.cancel(delivery uuid, who text default session_user) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  target postrider.delivery := postrider.lock_delivery(delivery);
  on_the_wire boolean;
begin
  if target.finished_at is not null then
    raise exception 'delivery % is already %', delivery, target.state using errcode = '55000',
      hint = 'Only an open delivery can be cancelled.';
  end if;
  on_the_wire := postrider.end_delivery(target);
  perform postrider.audit(who, 'cancel', 'delivery', delivery::text, target.tenant_id,
    jsonb_build_object('stateBefore', target.state, 'onTheWire', on_the_wire));
  return case
    when on_the_wire then format(
      'cancelled; attempt %s had begun, so one request may be on the wire, and its outcome will be written down',
      target.attempt_count)
    else 'cancelled' end;
end
$$;
comment on function postrider.cancel(uuid, text) is
  'Cancels an open delivery and removes its job. The text says when a request can be on the wire already. Raises 55000 when it is finished.';

create or replace function postrider.end_delivery(target postrider.delivery) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  on_the_wire boolean := target.claim is not null and not postrider.is_cut_off(target.claim);
begin
  if target.claim is not null and not on_the_wire then
    perform postrider.abandon(array[target.claim]);
  end if;
  perform postrider.cancel_deliveries(array[target.id],
    case when on_the_wire then '{}'::uuid[] else array[target.claim] end);
  return on_the_wire;
end
$$;
comment on function postrider.end_delivery(postrider.delivery) is
  'Cancels an open delivery, which is locked; returns whether a request can be on the wire.';

create or replace function postrider.lock_delivery(delivery uuid) returns postrider.delivery
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  target postrider.delivery;
begin
  select * into target from postrider.delivery d
  where d.id = lock_delivery.delivery and postrider.in_scope(d.tenant_id) for update;
  if target.id is null then
    raise exception 'there is no delivery %', delivery using errcode = 'P0002',
      hint = 'Ids are in the API, the log and postrider.delivery. Old ones are dropped with their day.';
  end if;
  return target;
end
$$;
comment on function postrider.lock_delivery(uuid) is
  'The delivery, locked until the end of the transaction; raises P0002 when there is none.';

create or replace function postrider.is_cut_off(attempt uuid) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
  return not exists (
    select from postrider.attempt a
    join postrider.runner r on r.id = a.runner
    where a.id = is_cut_off.attempt and r.reaped_at is null and r.stopped_at is null);
end
$$;
comment on function postrider.is_cut_off(uuid) is
  'Whether the runner that began an attempt is dead, stopped or unknown, so that nobody will finish it.';

create or replace function postrider.refuse_without_data(event uuid) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
  if not postrider.has_data(event) then
    raise exception 'the data of event % is gone', event using errcode = '55000',
      hint = 'It was erased, or dropped after its retention. Nothing can be sent.';
  end if;
end
$$;
comment on function postrider.refuse_without_data(uuid) is
  'Raises 55000 when the data of an event was erased or dropped.';
