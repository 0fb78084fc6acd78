-- Replay: make finished deliveries again ('redeliver'), or make those that an endpoint has missed ('missed').
--
-- States:
--   running              a 'replay' job makes one batch due, spread at rate_per_second, moves the position and
--                        adds itself again, all in one transaction: a killed runner costs nothing
--   running, rechecking  the end was reached; what transactions that were open at the start have committed
--                        since, with smaller ids than the position, is looked for from recheck_from
--   done                 the end was reached again, and no transaction as old as the replay is left
--   cancelled            by a person; what is due already is delivered anyway
--
-- Transactions of every database of the server count as open: snapshots do not tell them apart.
--
-- Doing a part twice changes nothing: a delivery that was reopened is open, and one that exists is not missed.

-- What a replay makes again has ended, and has its data; a bulk job passes over what it cannot act on, and counts it.
create or replace function postrider.covered_deliveries(r postrider.replay, batch int) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  low uuid := greatest(r.position, postrider.id_at(r.since));
  high uuid := postrider.id_at(r.until);
begin
  return array(
    select d.id
    from postrider.delivery d
    where d.tenant_id = r.tenant_id and d.id > low and d.id < high and d.state = any (r.states)
      and (r.is_bulk or d.trigger <> 'test')
      and case when r.is_bulk then coalesce(d.finished_at, d.created_at) else d.finished_at end <= r.created_at
      and (r.delivery_ids is null or d.id = any (r.delivery_ids))
      and (r.endpoint_id is null or d.endpoint_id = r.endpoint_id)
      and (r.event_id is null or d.event_id = r.event_id)
      and (r.mode <> 'release' or d.held_reason = 'circuit')
      and (r.one_attempt is not true or d.attempt_count > 0)
      and ((r.is_bulk and r.event_types = '{*}') or exists (
        select from postrider.event e
        where e.id = d.event_id and (r.is_bulk or e.data is not null) and postrider.wants_type(r.event_types, e.type)))
      and ((r.status_class is null and r.reason is null) or exists (
        select from (
          select a.status_code, a.reason from postrider.attempt a
          where a.delivery_id = d.id and a.id >= postrider.id_floor(d.id)
          order by a.id desc limit 1
        ) as a
        where (r.status_class is null or a.status_code / 100 = r.status_class)
          and (r.reason is null or a.reason = r.reason)))
    order by d.id
    limit batch);
end
$$;
comment on function postrider.covered_deliveries(postrider.replay, int) is
  'Deliveries that a replay or a bulk job covers, from its position on. A replay leaves test events out.';

create or replace function postrider.missed_events(r postrider.replay, batch int) returns uuid[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_bitmapscan = off
as $$
declare
  low uuid := greatest(r.position, postrider.id_at(r.since));
  high uuid := postrider.id_at(r.until);
begin
  return array(
    select ev.id
    from postrider.event ev
    cross join postrider.endpoint e
    where e.id = r.endpoint_id and ev.tenant_id = r.tenant_id and ev.id > low and ev.id < high
      and ev.data is not null and ev.only_endpoint_id is null
      and postrider.wants_type(e.event_types, ev.type)
      and postrider.in_channels(e.channels, ev.channels)
      and postrider.wants_type(r.event_types, ev.type)
      and postrider.passes_filter(e.filter, ev.data::jsonb)
      and not exists (
        select from postrider.delivery d where d.event_id = ev.id and d.endpoint_id = e.id)
    order by ev.id
    limit batch);
end
$$;
comment on function postrider.missed_events(postrider.replay, int) is
  'Events that match the endpoint of a replay and have no delivery to it, from its position on.';

create or replace function postrider.replay_ids(r postrider.replay, batch int) returns uuid[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case r.mode when 'missed' then postrider.missed_events(r, batch) else postrider.covered_deliveries(r, batch) end
$$;
comment on function postrider.replay_ids(postrider.replay, int) is
  'What a replay covers from its position on: ids of deliveries (redeliver) or of events (missed).';

-- refuse_replay: raise 54000 when as many run as may, of the tenant or of who asked for them. The duty is taken until
-- the transaction ends, so that those who begin at the same moment see each other; it comes last, and is short.
create or replace function postrider.refuse_replay(r postrider.replay, of_tenant_max int, of_requester_max int)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if of_tenant_max is null and of_requester_max is null then
    return;
  end if;
  perform from postrider.duty d where d.name = 'replay' for update;
  if of_tenant_max <= (
    select count(*) from postrider.replay p where p.finished_at is null and p.tenant_id = r.tenant_id) then
    raise exception 'the tenant has % replays running, as many as are allowed', of_tenant_max
      using errcode = '54000', hint = 'Wait until one is done, or cancel one.';
  end if;
  if of_requester_max <= (
    select count(*) from postrider.replay p where p.finished_at is null and p.requested_by = r.requested_by) then
    raise exception '% has % replays running, as many as are allowed', r.requested_by, of_requester_max
      using errcode = '54000', hint = 'Wait until one is done, or cancel one.';
  end if;
end
$$;
comment on function postrider.refuse_replay(postrider.replay, int, int) is
  'Raises 54000 when as many replays of its tenant, or of who asked for it, run as are allowed; null = any number.';

create or replace function postrider.tenant_of_replay(tenant text, endpoint uuid) returns uuid
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  found_id uuid;
begin
  select t.id into found_id from postrider.tenant t
  where t.key = tenant_of_replay.tenant and postrider.in_scope(t.id);
  if found_id is null then
    raise exception 'there is no tenant %', tenant using errcode = 'P0002', hint = 'Give the key, as in publish().';
  end if;
  if endpoint is not null and not exists (
    select from postrider.endpoint e
    where e.id = endpoint and e.tenant_id = found_id and e.deleted_at is null) then
    raise exception 'tenant % has no endpoint %', tenant, endpoint using errcode = 'P0002',
      hint = 'Ids are in the API and in postrider.endpoint_health.';
  end if;
  return found_id;
end
$$;
comment on function postrider.tenant_of_replay(text, uuid) is
  'The id of the tenant that a replay or bulk job is for. Raises P0002 when the tenant is not found, or when the endpoint (null = all) is not one of it.';

-- refuse_empty_time: raise 22023 for a time that nothing can be in. It ends now at the latest, so that one which begins
-- later has no length: that of a person who mistook the year, or of a client whose clock is ahead.
create or replace function postrider.refuse_empty_time(r postrider.replay) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  if r.until <= r.since and r.since >= now() then
    raise exception 'since is not in the past' using errcode = '22023', column = 'since';
  elsif r.until <= r.since then
    raise exception 'until is not after since' using errcode = '22023', column = 'until';
  end if;
end
$$;
comment on function postrider.refuse_empty_time(postrider.replay) is
  'Raises 22023 for a replay or bulk job whose time ends before it begins, as one does that begins in the future.';

-- start_replay: begin one, or with preview => true only count. Counting stops at 100,000.
create or replace function postrider.start_replay(
  tenant text, since timestamptz, until timestamptz default now(), mode text default 'redeliver',
  endpoint uuid default null, event_types text[] default '{*}', states text[] default '{failed}',
  status_class int default null, rate_per_second numeric default 50, who text default session_user,
  preview boolean default false, of_tenant_max int default null, of_requester_max int default null
) returns postrider.replay
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  r postrider.replay;
begin
  r.tenant_id := postrider.tenant_of_replay(tenant, endpoint);
  if mode = 'missed' and endpoint is null then
    raise exception 'mode missed needs an endpoint' using errcode = '22023', hint = 'Say which endpoint has missed them.';
  end if;

  r.id := postrider.uuidv7();
  r.mode := mode;
  r.endpoint_id := endpoint;
  r.event_types := event_types;
  r.states := states;
  r.status_class := status_class;
  r.since := since;
  r.until := least(until, now());
  perform postrider.refuse_empty_time(r);
  r.rate_per_second := rate_per_second;
  r.state := 'running';
  r.done := 0;
  r.skipped := 0;
  r.is_bulk := false;
  r.position := postrider.id_at(since);
  r.recheck_from := greatest(r.position, postrider.oldest_open_id());
  -- Its own: anyone who writes already has a lower one. The xmax of a snapshot is one more than the highest that has
  -- ended, and would pass over those that began after that one.
  r.waits_for_xid := case when not preview then pg_current_xact_id() end;
  r.rechecking := false;
  r.requested_by := coalesce(who, session_user);
  r.created_at := clock_timestamp();
  r.total := cardinality(postrider.replay_ids(r, 100000));
  if preview then
    return r;
  end if;
  perform postrider.begin_replay(r, who, of_tenant_max, of_requester_max);
  return r;
end
$$;
comment on function postrider.start_replay(text, timestamptz, timestamptz, text, uuid, text[], text[], int, numeric, text, boolean, int, int) is
  'Begins a replay of a tenant''s deliveries and returns it; preview => true only counts (total, 100,000 at most). mode redeliver: finished deliveries in these states; mode missed: events that the endpoint has no delivery for. of_tenant_max, of_requester_max: refused with 54000 when so many run; null = any number.';

create or replace function postrider.begin_replay(
  r postrider.replay, who text, of_tenant_max int, of_requester_max int
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.refuse_replay(r, of_tenant_max, of_requester_max);
  insert into postrider.replay select r.*;
  perform postrider.enqueue_replay_job(r.id, now());
  perform postrider.audit(who, case when r.is_bulk then 'start_bulk' else 'start_replay' end, 'replay', r.id::text,
    r.tenant_id, to_jsonb(r) - '{waits_for_xid,recheck_from,position,rechecking}'::text[]);
end
$$;
comment on function postrider.begin_replay(postrider.replay, text, int, int) is
  'Stores a replay or bulk job with the job that steps it, and writes down who began it. Bounds as of start_replay().';

-- oldest_open_id: no transaction that is open now has made an id smaller than this. Sessions whose start this
-- role may not see count as a day old.
create or replace function postrider.oldest_open_id() returns uuid
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  select postrider.id_at(coalesce(min(
      case when a.state is null then now() - interval '1 day' else a.xact_start end), now()) - interval '1 hour')
  from pg_stat_activity a
  where a.backend_type = 'client backend' and (a.state is null or a.xact_start is not null)
$$;
comment on function postrider.oldest_open_id() is
  'A lower bound of the ids that transactions open at this moment can still commit.';

create or replace function postrider.enqueue_replay_job(replay uuid, run_at timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  select postrider.enqueue_single('replay', json_build_object('r', replay), run_at, 'replay:' || replay);
end;
comment on function postrider.enqueue_replay_job(uuid, timestamptz) is
  'Adds, or moves, the job of a replay. Raises 40001 when it could not be added.';

-- replay_step: one batch of a replay; the job calls it. The next step is due when this batch is out.
create or replace function postrider.replay_step(replay uuid, batch int default 500) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  r postrider.replay;
  ids uuid[];
  made int := 0;
  settled boolean;
begin
  select * into r from postrider.replay p where p.id = replay and p.finished_at is null for update;
  if r.id is null then
    return 'over';
  end if;
  ids := postrider.replay_ids(r, batch);
  if cardinality(ids) > 0 then
    made := case
      when r.is_bulk then postrider.bulk_deliveries(ids, r)
      when r.mode = 'missed' then postrider.make_deliveries(ids, r)
      else postrider.replay_deliveries(ids, r) end;
    update postrider.replay p 
    set done = p.done + made, skipped = p.skipped + cardinality(ids) - made, position = ids[cardinality(ids)]
    where p.id = r.id;
    perform postrider.enqueue_replay_job(r.id,
      now() + make_interval(secs => (made / r.rate_per_second)::float8));
    return format('%s made due', made);
  end if;

  settled := pg_snapshot_xmin(pg_current_snapshot()) >= r.waits_for_xid;
  if not settled then
    perform postrider.enqueue_replay_job(r.id, now() + interval '2 seconds');
    return 'waiting for transactions that were open when it began';
  elsif not r.rechecking then
    update postrider.replay p set rechecking = true, position = r.recheck_from where p.id = r.id;
    perform postrider.enqueue_replay_job(r.id, now());
    return 'looking again';
  end if;
  update postrider.replay p set state = 'done', finished_at = now() where p.id = r.id;
  return 'done';
end
$$;
comment on function postrider.replay_step(uuid, int) is
  'Makes the next batch of a replay due, moves its position and adds its next job, in one transaction. Returns what it did, in words.';

create or replace function postrider.replay_deliveries(ids uuid[], r postrider.replay) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  bounds record;
  reopened int;
begin
  select * into bounds from postrider.id_range(ids);
  select postrider.reopen_deliveries(array_agg(d.id), array_agg(d.held_reason),
    array_agg(now() + make_interval(secs => (d.nth / r.rate_per_second)::float8)), 'replay')
  into reopened
  from (
    select d.id, postrider.held_for(e, t, c, false) as held_reason, row_number() over (order by d.id) as nth
    from postrider.delivery d
    join postrider.endpoint e on e.id = d.endpoint_id and e.deleted_at is null and e.state <> 'disabled'
    join postrider.tenant t on t.id = d.tenant_id
    left join postrider.circuit c on c.endpoint_id = d.endpoint_id
    where d.id = any (ids) and d.id between bounds.min_id and bounds.max_id and d.state = any (r.states)
  ) as d;
  return reopened;
end
$$;
comment on function postrider.replay_deliveries(uuid[], postrider.replay) is
  'Reopens finished deliveries for a replay, spread at its rate. Returns how many; those of disabled and deleted endpoints stay as they are, and so do the ones that were cancelled while a request was on the wire, until it has ended.';

create or replace function postrider.make_deliveries(ids uuid[], r postrider.replay) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  made uuid[];
begin
  -- Two replays for one endpoint must not both find a delivery missing.
  perform from postrider.endpoint e where e.id = r.endpoint_id for no key update;
  select postrider.open_in_lines(array_agg(r.tenant_id), array_agg(m.event_id), array_agg(r.endpoint_id),
    array_agg(m.held_reason), array_agg(m.due), array_agg(m.ordering_key), array_agg(m.position), 'replay', is_late => true)
  into made
  from (
    select missed.id as event_id, ev.ordering_key, ev.position, postrider.held_for(e, t, c, false) as held_reason,
      greatest(ev.deliver_at, now() + make_interval(secs => (missed.nth / r.rate_per_second)::float8)) as due
    from unnest(ids) with ordinality as missed (id, nth)
    left join postrider.event ev on ev.id = any (ids) and ev.id = missed.id
    join postrider.endpoint e on e.id = r.endpoint_id and e.deleted_at is null and e.state <> 'disabled'
    join postrider.tenant t on t.id = e.tenant_id
    left join postrider.circuit c on c.endpoint_id = e.id
    where not exists (
      select from postrider.delivery d where d.event_id = missed.id and d.endpoint_id = e.id)
  ) as m;
  return cardinality(made);
end
$$;
comment on function postrider.make_deliveries(uuid[], postrider.replay) is
  'Makes deliveries of events to the endpoint of a replay where there is none, spread at its rate, none before its deliver_at; returns how many.';

create or replace function postrider.cancel_replay(replay uuid, who text default session_user) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  ended postrider.replay;
begin
  update postrider.replay p set state = 'cancelled', finished_at = now()
  where p.id = cancel_replay.replay and p.finished_at is null and postrider.in_scope(p.tenant_id)
  returning * into ended;
  if ended.id is null then
    return false;
  end if;
  perform graphile_worker.remove_job('replay:' || replay);
  perform postrider.audit(who, 'cancel_replay', 'replay', replay::text, ended.tenant_id,
    jsonb_build_object('done', ended.done, 'total', ended.total));
  return true;
end
$$;
comment on function postrider.cancel_replay(uuid, text) is
  'Ends a running replay; what it has made due is delivered anyway. Returns whether it was running.';
