-- Deleting a tenant with its data.
--
-- delete_tenant() throws the switch, in one transaction: nothing is published for it or sent to it any more, its
-- keys are revoked, its portal links taken back, its endpoints deleted. Its rows go by the 'delete_tenant' job, one batch a step, which
-- adds itself again in the same transaction; tenant.deletion_rows says how far it is, and the row of the tenant
-- itself goes last. A crash half-way loses nothing (reconcile() adds a job that has vanished). What stays are
-- audit_log and attempt_day, which hold no payloads.

-- delete_tenant: begin. Calling it again changes nothing.
--
-- Locks: the tenant, and its endpoints and keys, for this transaction. Cost: 0.2 ms an endpoint. Those beyond the
-- first 10,000 are out of service because the tenant is suspended, and go with the rows.
create or replace function postrider.delete_tenant(tenant text, who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.tenant := postrider.lock_tenant(tenant);
begin
  perform postrider.refuse_reserved(target);
  if target.deletion_started_at is not null then
    return;
  end if;
  update postrider.tenant t
  set deletion_started_at = now(), suspended_at = coalesce(t.suspended_at, now()), uid = null, svix_id = null
  where t.id = target.id;
  update postrider.api_key k set revoked_at = now() where k.tenant_id = target.id and k.revoked_at is null;
  delete from postrider.portal_link l where l.tenant_id = target.id;
  perform postrider.delete_endpoint(target.id, e.id)
  from (
    select p.id from postrider.endpoint p
    where p.tenant_id = target.id and p.deleted_at is null limit 10000
  ) as e;
  update postrider.replay r set state = 'cancelled', finished_at = now()
  where r.tenant_id = target.id and r.finished_at is null;

  perform postrider.enqueue_tenant_job(target.id, now());
  perform postrider.audit(who, 'delete_tenant', 'tenant', target.id::text, target.id,
    jsonb_strip_nulls(jsonb_build_object('key', target.key, 'svixId', target.svix_id)));
end
$$;
comment on function postrider.delete_tenant(text, text) is
  'Begins to delete a tenant with its data: publishing is refused, its keys are revoked and its endpoints deleted at once; the rows follow by a job, and the row of the tenant goes last. Raises 55000 for a tenant of the service itself.';

create or replace function postrider.enqueue_tenant_job(tenant uuid, run_at timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  select postrider.enqueue_single('delete_tenant', json_build_object('t', tenant), run_at, 'delete_tenant:' || tenant);
end;
comment on function postrider.enqueue_tenant_job(uuid, timestamptz) is
  'Adds, or moves, the job that deletes a tenant. Raises 40001 when it could not be added.';

-- delete_tenant_step: one batch; the job calls it.
--
-- It waits for deliveries that are on the wire, so that their outcome is written down, and at the end for
-- transactions that may have published before they could see the switch: each statement of theirs that saw none
-- was over, or had its transaction id, some seconds later.
--
-- Locks: the rows of the batch, skipping locked ones. Cost: a few index probes a row.
create or replace function postrider.delete_tenant_step(tenant uuid, batch int default 1000) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  statement_max constant interval := '10 seconds';
  target postrider.tenant;
  deleted int;
begin
  select * into target from postrider.tenant t
  where t.id = delete_tenant_step.tenant and t.deletion_started_at is not null for no key update;
  if target.id is null then
    return 'over';
  end if;
  if target.deletion_waits_for_xid is null and target.deletion_started_at < now() - statement_max then
    target.deletion_waits_for_xid := pg_current_xact_id();
  end if;
  deleted := postrider.delete_rows_of(target.id, batch);
  update postrider.tenant t
  set deletion_rows = t.deletion_rows + deleted, deletion_waits_for_xid = target.deletion_waits_for_xid
  where t.id = target.id;

  if deleted > 0 then
    perform postrider.enqueue_tenant_job(target.id, now());
    return format('%s rows deleted', deleted);
  elsif target.deletion_waits_for_xid is null
    or pg_snapshot_xmin(pg_current_snapshot()) <= target.deletion_waits_for_xid
    or exists (select from postrider.delivery d where d.tenant_id = target.id) then
    perform postrider.enqueue_tenant_job(target.id, now() + interval '2 seconds');
    return 'waiting for what was under way when it began';
  end if;
  delete from postrider.tenant t where t.id = target.id;
  perform postrider.audit(null, 'tenant_deleted', 'tenant', target.id::text, target.id,
    jsonb_build_object('key', target.key, 'rows', target.deletion_rows));
  return 'done';
end
$$;
comment on function postrider.delete_tenant_step(uuid, int) is
  'Deletes the next batch of the rows of a tenant that is being deleted and adds its next job, in one transaction. Returns what it did, in words.';

-- Anyone who adds a table with a tenant_id adds it here, or says in the test why its rows stay.
create or replace function postrider.delete_rows_of(tenant uuid, batch int) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  beyond constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
  deleted int;
begin
  perform postrider.cancel_oldest_of(tenant, batch);
  deleted := postrider.delete_deliveries(tenant, beyond, batch);
  if deleted = 0 then
    deleted := postrider.delete_events(tenant, beyond, batch);
  end if;
  if deleted = 0 then
    delete from postrider.idempotency k
    where k.tenant_id = delete_rows_of.tenant and k.key in (
      select i.key from postrider.idempotency i where i.tenant_id = delete_rows_of.tenant limit batch);
    get diagnostics deleted = row_count;
  end if;
  if deleted = 0 then
    delete from postrider.event_erasure d where d.event_id in (
      select p.event_id from postrider.event_erasure p where p.tenant_id = delete_rows_of.tenant limit batch);
    get diagnostics deleted = row_count;
  end if;
  if deleted = 0 then
    delete from postrider.batch b where b.id in (
      select o.id from postrider.batch o
      where o.endpoint_id in (select e.id from postrider.endpoint e where e.tenant_id = delete_rows_of.tenant) limit batch);
    get diagnostics deleted = row_count;
  end if;
  if deleted = 0 then
    delete from postrider.ordering_line l where (l.ordering_key, l.endpoint_id) in (
      select o.ordering_key, o.endpoint_id from postrider.ordering_line o where o.tenant_id = delete_rows_of.tenant limit batch)
      and l.tenant_id = delete_rows_of.tenant;
    get diagnostics deleted = row_count;
  end if;
  if deleted = 0 then
    delete from postrider.ordering_place p
    where p.endpoint_id in (select e.id from postrider.endpoint e where e.tenant_id = delete_rows_of.tenant);
    delete from postrider.ordering_lock k
    where k.tenant_id = delete_rows_of.tenant and k.ordering_key in (
      select o.ordering_key from postrider.ordering_lock o where o.tenant_id = delete_rows_of.tenant limit batch);
    get diagnostics deleted = row_count;
  end if;
  if deleted = 0 then
    delete from postrider.replay r where r.id in (
      select p.id from postrider.replay p where p.tenant_id = delete_rows_of.tenant limit batch);
    get diagnostics deleted = row_count;
  end if;
  if deleted = 0 then
    delete from postrider.portal_link l where l.id in (
      select p.id from postrider.portal_link p where p.tenant_id = delete_rows_of.tenant limit batch);
    get diagnostics deleted = row_count;
  end if;
  if deleted = 0 then
    delete from postrider.endpoint e where e.id in (
      select p.id from postrider.endpoint p
      where p.tenant_id = delete_rows_of.tenant
        and not exists (select from postrider.delivery d where d.tenant_id = delete_rows_of.tenant)
      limit batch);
    get diagnostics deleted = row_count;
  end if;
  return deleted;
end
$$;
comment on function postrider.delete_rows_of(uuid, int) is
  'Deletes a batch of the rows of a tenant: deliveries with their attempts, then events, idempotency keys, lines, replays, portal links and endpoints; returns how many.';

create or replace function postrider.cancel_oldest_of(tenant uuid, batch int) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  oldest uuid[] := array(
    select d.id from postrider.delivery d
    where d.tenant_id = cancel_oldest_of.tenant
    order by d.id limit batch for update skip locked);
  low uuid := oldest[1];
  high uuid := oldest[cardinality(oldest)];
  cut_off uuid[] := array(
    select d.claim from postrider.delivery d
    where d.id = any (oldest) and d.id between low and high
      and d.claim is not null and postrider.is_cut_off(d.claim));
begin
  perform postrider.abandon(cut_off);
  perform postrider.forget_claims(oldest, cut_off);
  perform postrider.cancel_deliveries(array(
    select d.id from postrider.delivery d
    where d.id = any (oldest) and d.id between low and high and (d.claim is null or d.claim = any (cut_off))), cut_off);
end
$$;
comment on function postrider.cancel_oldest_of(uuid, int) is
  'Cancels what is open among a tenant''s oldest deliveries, except what is on the wire, and removes its jobs.';

create or replace function postrider.requeue_tenant_deletions() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  lost uuid[] := array(
    select t.id from postrider.tenant t
    where t.deletion_started_at is not null
      and not exists (select from postrider.live_job j where j.key = 'delete_tenant:' || t.id)
    limit 100);
begin
  perform postrider.enqueue_tenant_job(id, now()) from unnest(lost) as id;
  return cardinality(lost);
end
$$;
comment on function postrider.requeue_tenant_deletions() is
  'Adds the jobs of tenants that are being deleted and have none; returns how many.';
