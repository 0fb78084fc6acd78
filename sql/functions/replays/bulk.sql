-- Bulk jobs: what people do to many deliveries at once, to those that they chose or to all that match a filter.
--
-- A bulk job is a row of `replay` with is_bulk, and goes on as a replay does: by a 'replay' job, one batch a step, with its
-- position in its row, so that a runner that is killed half-way costs nothing. It acts on what was there when it began, and so
-- looks at everything once.
--
--   retry      failed, cancelled and pending ones get their next attempt, as by retry_now(); those in flight are left alone
--   cancel     open ones end, as by cancel()
--   release    what is held by a circuit is sent; circuits that have opened since the job began stay open
--   redeliver  finished ones are made again, as by start_replay()
--
-- What is collapsed nobody misses: it is among them only where it was chosen, or its state is named.

create or replace function postrider.bulk_states(action text) returns text[]
language sql immutable parallel safe
return case action
  when 'retry' then array['failed', 'cancelled', 'pending', 'collapsed']
  when 'cancel' then array['pending', 'held', 'delivering']
  when 'release' then array['held']
  when 'redeliver' then array['delivered', 'failed', 'cancelled', 'collapsed'] end;
comment on function postrider.bulk_states(text) is
  'States of the deliveries that a bulk job of this action (retry, cancel, release, redeliver) acts on; null = unknown action.';

-- start_bulk: begin one, or with preview => true only count and show the first ten. Counting stops at 100,000.
create or replace function postrider.start_bulk(
  tenant text, action text, deliveries uuid[] default null, endpoint uuid default null, event uuid default null,
  event_types text[] default '{*}', states text[] default null, status_class int default null, reason text default null,
  since timestamptz default null, until timestamptz default null, rate_per_second numeric default 50,
  who text default session_user, preview boolean default false, of_tenant_max int default null,
  of_requester_max int default null
) returns postrider.replay
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  r postrider.replay;
  found uuid[];
begin
  r.tenant_id := postrider.tenant_of_replay(tenant, endpoint);
  if postrider.bulk_states(action) is null then
    raise exception 'there is no action %', action using errcode = '22023', hint = 'retry, cancel, release or redeliver.';
  end if;
  r.states := array(
    select s from unnest(postrider.bulk_states(action)) as s
    where case when start_bulk.states is null then deliveries is not null or s <> 'collapsed' else s = any (start_bulk.states) end);
  if cardinality(r.states) = 0 then
    raise exception 'nothing in these states can be %', action using errcode = '22023',
      hint = format('States of this action: %s.', array_to_string(postrider.bulk_states(action), ', '));
  end if;

  r.id := postrider.uuidv7();
  r.mode := action;
  r.is_bulk := true;
  r.delivery_ids := deliveries;
  r.endpoint_id := endpoint;
  r.event_id := event;
  r.event_types := event_types;
  r.status_class := status_class;
  r.reason := reason;
  r.since := coalesce(since, now() - interval '3650 days');
  -- By their ids, what was made up to this moment.
  r.until := least(coalesce(until, 'infinity'), clock_timestamp() + interval '1 second');
  perform postrider.refuse_empty_time(r);
  r.rate_per_second := rate_per_second;
  r.state := 'running';
  r.done := 0;
  r.skipped := 0;
  r.position := postrider.id_at(r.since);
  r.recheck_from := r.position;
  r.waits_for_xid := '3'::xid8;
  r.rechecking := true;
  r.requested_by := coalesce(who, session_user);
  r.created_at := clock_timestamp();
  found := postrider.covered_deliveries(r, 100000);
  r.total := cardinality(found);
  if preview then
    r.delivery_ids := found[1:10];
    return r;
  end if;
  perform postrider.begin_replay(r, who, of_tenant_max, of_requester_max);
  return r;
end
$$;
comment on function postrider.start_bulk(text, text, uuid[], uuid, uuid, text[], text[], int, text, timestamptz, timestamptz, numeric, text, boolean, int, int) is
  'Begins a bulk job on deliveries of a tenant and returns it: those with these ids, or all that match. action: retry, cancel, release or redeliver. preview => true only counts (total, 100,000 at most) and shows the first ten (delivery_ids). cancel_replay() ends it. of_tenant_max, of_requester_max: refused with 54000 when so many jobs and replays run; null = any number.';

-- bulk_deliveries: one batch. Those that somebody has locked at this moment are skipped: they are about to change.
create or replace function postrider.bulk_deliveries(ids uuid[], r postrider.replay) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  bounds record;
  chosen uuid[];
  ended uuid[];
  acted int;
begin
  if r.mode = 'redeliver' then
    return postrider.replay_deliveries(ids, r);
  end if;
  select * into bounds from postrider.id_range(ids);
  if r.mode = 'release' then
    -- One that has opened since the job began says that the receiver still fails.
    perform postrider.close_circuits(array(
      select d.endpoint_id from postrider.delivery d
      where d.id = any (ids) and d.id between bounds.min_id and bounds.max_id), r.created_at);
  end if;
  chosen := array(
    select d.id from postrider.delivery d
    join postrider.endpoint e on e.id = d.endpoint_id
    join postrider.tenant t on t.id = d.tenant_id
    where d.id = any (ids) and d.id between bounds.min_id and bounds.max_id and d.state = any (r.states)
      and case r.mode
        when 'cancel' then true
        when 'retry' then d.claim is null and (d.ordering_key is null or not postrider.has_newer(d)) and postrider.accepts_work(e, t) and postrider.has_data(d.event_id)
        else d.held_reason = 'circuit' and postrider.accepts_work(e, t) and not exists (
          select from postrider.circuit c where c.endpoint_id = e.id and c.opened_at is not null) end
    order by d.id for update of d skip locked);
  ended := case when r.one_attempt then array(
    select d.id from postrider.delivery d
    where d.id = any (chosen) and d.id between bounds.min_id and bounds.max_id and d.finished_at is not null) end;
  acted := case r.mode
    when 'cancel' then postrider.cancel_deliveries(chosen, '{}')
    when 'release' then postrider.release_deliveries(chosen, postrider.spread(chosen, r.rate_per_second))
    else postrider.reopen_deliveries(chosen, postrider.held_reasons_of(chosen),
      postrider.spread(chosen, r.rate_per_second), 'manual') end;
  if ended <> '{}' then
    perform postrider.allow_one_attempt(ended);
  end if;
  return acted;
end
$$;
comment on function postrider.bulk_deliveries(uuid[], postrider.replay) is
  'Acts on a batch of deliveries as a bulk job says, spread at its rate. Returns on how many; the others are not in a state that allows it.';

-- start_recovery: what has failed for an endpoint is tried once more. What is still in its retry schedule is tried now,
-- and its schedule goes on; what has ended is not given a schedule again.
create or replace function postrider.start_recovery(
  endpoint uuid, since timestamptz, until timestamptz default null, rate_per_second numeric default 50,
  who text default session_user, of_tenant_max int default null, of_requester_max int default null
) returns postrider.replay
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  r postrider.replay;
  tenant text;
begin
  select t.key into tenant
  from postrider.endpoint e join postrider.tenant t on t.id = e.tenant_id
  where e.id = start_recovery.endpoint;
  r := postrider.start_bulk(tenant, 'retry', endpoint => start_recovery.endpoint, states => '{failed,pending}',
    since => start_recovery.since, until => start_recovery.until, rate_per_second => start_recovery.rate_per_second,
    who => start_recovery.who, preview => true);
  r.delivery_ids := null;
  r.one_attempt := true;
  r.total := cardinality(postrider.covered_deliveries(r, 100000));
  perform postrider.begin_replay(r, start_recovery.who, start_recovery.of_tenant_max, start_recovery.of_requester_max);
  return r;
end
$$;
comment on function postrider.start_recovery(uuid, timestamptz, timestamptz, numeric, text, int, int) is
  'Begins a bulk job that tries once more what an endpoint was sent since then without success, and returns it. What has ended does not get its retry schedule again. Bounds as of start_bulk().';

-- What a retry of a delivery is held for: the circuit of its endpoint. Once that is closed it follows with the others.
create or replace function postrider.held_reasons_of(ids uuid[]) returns text[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  bounds record;
begin
  select * into bounds from postrider.id_range(ids);
  return array(
    select postrider.held_for(e, t, c, false)
    from postrider.delivery d
    join postrider.endpoint e on e.id = d.endpoint_id
    join postrider.tenant t on t.id = d.tenant_id
    left join postrider.circuit c on c.endpoint_id = d.endpoint_id
    where d.id = any (ids) and d.id between bounds.min_id and bounds.max_id
    order by d.id);
end
$$;
comment on function postrider.held_reasons_of(uuid[]) is 'Why each of these deliveries, in the order of their ids, would be held; null = it can be sent.';
