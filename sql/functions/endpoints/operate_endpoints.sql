-- Pausing and resuming an endpoint, a tenant, or everything.
--
-- The switch is thrown at once; the open deliveries follow in batches. Each call moves one batch and leaves
-- the rest to the endpoint's 'align' job, which goes on batch by batch, so that a caller may stop after the
-- first call, call again until 0 is left, or die in between: nothing is lost (reconcile() adds a job that
-- has vanished). Whatever is not held by then is held when it falls due.

-- left_in: how many open deliveries of an endpoint are in a state, counted up to 10,000.
create or replace function postrider.left_in(state text, endpoint uuid) returns int
language sql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
  select count(*)::int
  from (select from postrider.delivery d
        where d.endpoint_id = left_in.endpoint and d.id >= postrider.id_floor(left_in.endpoint)
          and d.finished_at is null and d.state = left_in.state and d.held_reason is distinct from 'order'
        limit 10000) as counted
$$;
comment on function postrider.left_in(text, uuid) is
  'Open deliveries of an endpoint in this state, without the ones that wait for an earlier event of their ordering key; 10,000 stands for that many or more, so that counting stays cheap.';

-- lock_endpoint: the endpoint, locked, for the functions below.
create or replace function postrider.lock_endpoint(endpoint uuid) returns postrider.endpoint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  target postrider.endpoint;
begin
  select * into target from postrider.endpoint e
  where e.id = lock_endpoint.endpoint and e.deleted_at is null and postrider.in_scope(e.tenant_id)
  for no key update;
  if target.id is null then
    raise exception 'there is no endpoint %', endpoint using errcode = 'P0002',
      hint = 'Ids are in the API and in postrider.endpoint_health. A deleted endpoint does not come back.';
  end if;
  return target;
end
$$;
comment on function postrider.lock_endpoint(uuid) is
  'The endpoint, locked until the end of the transaction; raises P0002 when there is none.';

-- set_paused: what pause_endpoint() and resume_endpoint() do. Nothing but the alignment where it is so already.
create or replace function postrider.set_paused(endpoint uuid, is_paused boolean, who text, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.endpoint := postrider.lock_endpoint(endpoint);
  wanted text := case when is_paused then 'paused' else 'active' end;
begin
  if target.state = 'disabled' then
    raise exception 'endpoint % is disabled: %', endpoint, target.disabled_reason using errcode = '55000',
      hint = case when is_paused then 'Its deliveries are held already. To take it back into service'
        else 'Once its receiver works again' end || ': select postrider.enable_endpoint(...)';
  end if;
  if target.state <> wanted then
    update postrider.endpoint e set state = wanted, updated_at = now() where e.id = endpoint;
    perform postrider.audit(who, case when is_paused then 'pause_endpoint' else 'resume_endpoint' end,
      'endpoint', endpoint::text, target.tenant_id);
  end if;
  perform postrider.align(endpoint, batch);
  return postrider.left_in(case when is_paused then 'pending' else 'held' end, endpoint);
end
$$;
comment on function postrider.set_paused(uuid, boolean, text, int) is
  'Pauses or resumes an endpoint, and returns how many of its deliveries have yet to follow.';

create or replace function postrider.pause_endpoint(
  endpoint uuid, who text default session_user, batch int default 500
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  return postrider.set_paused(endpoint, true, who, batch);
end
$$;
comment on function postrider.pause_endpoint(uuid, text, int) is
  'Holds the deliveries of an endpoint until resume_endpoint(); events that match it are still accepted. Returns how many pending ones are left (10,000 = at least), which follow automatically. What is on the wire is finished.';

-- disable_by_hand: what health.sql does after days of failures, because a person says so.
create or replace function postrider.disable_by_hand(endpoint uuid, who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.endpoint := postrider.lock_endpoint(endpoint);
begin
  if target.state = 'disabled' then
    return;
  end if;
  perform postrider.disable_endpoint(endpoint, format('disabled by %s', coalesce(who, session_user)));
  update postrider.endpoint e set updated_at = now() where e.id = endpoint;
  perform postrider.audit(who, 'disable_by_hand', 'endpoint', endpoint::text, target.tenant_id);
end
$$;
comment on function postrider.disable_by_hand(uuid, text) is
  'Disables an endpoint: what is open is held until enable_endpoint(), and what is published meanwhile does not match it. Does nothing where it is disabled already.';

create or replace function postrider.resume_endpoint(
  endpoint uuid, who text default session_user, batch int default 500
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  return postrider.set_paused(endpoint, false, who, batch);
end
$$;
comment on function postrider.resume_endpoint(uuid, text, int) is
  'Takes a paused endpoint back into service and releases a batch of what was held, spread over time: those first that nobody has tried, then the oldest. Returns how many held ones are left (10,000 = at least), which follow automatically.';

-- enable_endpoint: take a disabled endpoint back into service.
--
-- With deliver_held => false what was held is cancelled instead, a batch a call, and the endpoint stays
-- disabled until none is left: enabled earlier, the rest would be released behind the caller's back.
create or replace function postrider.enable_endpoint(
  endpoint uuid, who text default session_user, deliver_held boolean default true, batch int default 500
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.endpoint := postrider.lock_endpoint(endpoint);
  detail jsonb := jsonb_build_object('disabledReason', target.disabled_reason, 'deliverHeld', deliver_held);
  cancelled int;
begin
  if target.state = 'paused' then
    raise exception 'endpoint % is paused', endpoint using errcode = '55000',
      hint = 'select postrider.resume_endpoint(...)';
  end if;
  if target.state = 'disabled' and not deliver_held then
    cancelled := postrider.cancel_deliveries_of(endpoint, batch);
    detail := detail || jsonb_build_object('cancelled', cancelled);
  end if;
  -- A batch is final, whether or not the next one is ever asked for.
  if target.state = 'disabled' then
    perform postrider.audit(who, 'enable_endpoint', 'endpoint', endpoint::text, target.tenant_id, detail);
  end if;
  if cancelled = batch then
    return greatest(postrider.left_in('held', endpoint), 1);
  end if;
  if target.state = 'disabled' then
    update postrider.endpoint e
    set state = 'active', disabled_reason = null, disabled_at = null, updated_at = now()
    where e.id = endpoint;
    delete from postrider.circuit c where c.endpoint_id = endpoint;
  end if;
  perform postrider.align(endpoint, batch);
  return postrider.left_in('held', endpoint);
end
$$;
comment on function postrider.enable_endpoint(uuid, text, boolean, int) is
  'Takes a disabled endpoint back into service, with its count of failures at zero, and releases what was held, as resume_endpoint() does; deliver_held => false cancels that instead: call it until it returns 0. Events published since endpoint.disabled_at have no delivery to it: start_replay(..., mode => ''missed'') makes them.';

create or replace function postrider.lock_tenant(tenant text) returns postrider.tenant
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  target postrider.tenant;
begin
  select * into target from postrider.tenant t
  where t.key = lock_tenant.tenant and postrider.in_scope(t.id) for no key update;
  if target.id is null then
    raise exception 'there is no tenant %', tenant using errcode = 'P0002',
      hint = 'Give the key, as in publish().';
  end if;
  return target;
end
$$;
comment on function postrider.lock_tenant(text) is
  'The tenant of this key, locked until the end of the transaction; raises P0002 when there is none.';

create or replace function postrider.refuse_reserved(tenant postrider.tenant) returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
  if starts_with(tenant.key, 'postrider:') then
    raise exception 'tenant % is reserved', tenant.key using errcode = '55000',
      hint = 'The service itself uses it.';
  end if;
end
$$;
comment on function postrider.refuse_reserved(postrider.tenant) is
  'Raises 55000 for a tenant of the service itself.';

create or replace function postrider.suspend_tenant(tenant text, who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target postrider.tenant := postrider.lock_tenant(tenant);
begin
  perform postrider.refuse_reserved(target);
  if target.suspended_at is null then
    update postrider.tenant t set suspended_at = now() where t.id = target.id;
    delete from postrider.portal_link l where l.tenant_id = target.id;
    perform postrider.audit(who, 'suspend_tenant', 'tenant', target.id::text, target.id);
  end if;
end
$$;
comment on function postrider.suspend_tenant(text, text) is
  'Refuses what a tenant publishes, and holds its deliveries as they fall due, until resume_tenant(). Takes back its portal links, which stay gone. Raises 55000 for a tenant of the service itself.';

create or replace function postrider.resume_tenant(
  tenant text, who text default session_user, batch int default 100
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.tenant := postrider.lock_tenant(tenant);
begin
  if target.deletion_started_at is not null then
    raise exception 'tenant % is being deleted', tenant using errcode = '55000',
      hint = 'It does not come back. Afterwards, its key can be used for a new tenant.';
  end if;
  if target.suspended_at is not null then
    update postrider.tenant t set suspended_at = null where t.id = target.id;
    perform postrider.audit(who, 'resume_tenant', 'tenant', target.id::text, target.id,
      jsonb_build_object('suspendedAt', target.suspended_at));
  end if;
  return case when postrider.align_held(batch, target.id) = batch then 1 else 0 end;
end
$$;
comment on function postrider.resume_tenant(text, text, int) is
  'Accepts what a tenant publishes again and has what was held released, endpoint by endpoint. Returns 1 while more endpoints can be waiting: call it until it returns 0, or leave the rest to reconcile().';

create or replace function postrider.pause_all(who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update postrider.service s set paused_at = now(), paused_by = coalesce(who, session_user)
  where s.paused_at is null;
  if found then
    perform postrider.audit(who, 'pause_all', 'service', null);
  end if;
end
$$;
comment on function postrider.pause_all(text) is
  'Stops sending for every tenant: publishing continues, and deliveries are held as they fall due, until resume_all(). What is on the wire is finished.';

create or replace function postrider.resume_all(who text default session_user, batch int default 100) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  if postrider.is_paused() then
    perform postrider.audit(who, 'resume_all', 'service', null, null, to_jsonb(s)) from postrider.service s;
    update postrider.service s set paused_at = null, paused_by = null;
  end if;
  return case when postrider.align_held(batch) = batch then 1 else 0 end;
end
$$;
comment on function postrider.resume_all(text, int) is
  'Lets deliveries go out again and has what was held released, endpoint by endpoint. Returns 1 while more endpoints can be waiting: call it until it returns 0, or leave the rest to reconcile().';

-- align_held: add the 'align' job of endpoints that accept work although deliveries of theirs are held.
--
-- Cost: one pass over the open deliveries, 1 s a million, and a job for each endpoint found.
create or replace function postrider.align_held(batch int, only_tenant uuid default null) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  endpoints uuid[];
begin
  endpoints := array(select endpoint_id from postrider.held_without_reason(only_tenant) limit batch);
  perform postrider.enqueue_endpoint_job('align', endpoint_id, now()) from unnest(endpoints) as endpoint_id;
  return cardinality(endpoints);
end
$$;
comment on function postrider.align_held(int, uuid) is
  'Has held deliveries released where endpoint and tenant accept work, no circuit is open and no align job exists; returns for how many endpoints.';

create or replace function postrider.held_without_reason(only_tenant uuid default null)
returns table (endpoint_id uuid, deliveries bigint, oldest uuid)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
begin
  return query
  with held as materialized (
    select d.endpoint_id, count(*) as deliveries, min(d.id::text)::uuid as oldest
    from postrider.delivery d
    where d.finished_at is null and d.held_reason <> 'order' and (only_tenant is null or d.tenant_id = only_tenant)
    group by d.endpoint_id
  )
  select h.endpoint_id, h.deliveries, h.oldest
  from held h
  join postrider.endpoint e on e.id = h.endpoint_id
  join postrider.tenant t on t.id = e.tenant_id
  where postrider.accepts_work(e, t) and not postrider.is_paused()
    and not exists (select from postrider.circuit c where c.endpoint_id = h.endpoint_id and c.opened_at is not null)
    and not exists (select from postrider.live_job j where j.key = 'align:' || h.endpoint_id);
end
$$;
comment on function postrider.held_without_reason(uuid) is
  'Endpoints with held deliveries that nothing will release: the endpoint accepts work and has no align job.';
