create or replace function postrider.lock_endpoints_of(tenant uuid) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from postrider.tenant t
  where t.id = lock_endpoints_of.tenant and postrider.in_scope(t.id) for no key update;
end
$$;
comment on function postrider.lock_endpoints_of(uuid) is
  'Has others who call it for the same tenant wait until this transaction ends, so that what is counted stays true. Publishing does not wait.';

-- delete_endpoint: take an endpoint out of service for good.
--
-- The row stays for the audit log; its subscriptions go (by trigger), so nothing new is routed to it, and
-- its secrets, secret headers and client certificate go, since nothing will be sent to it. Its open deliveries are cancelled afterwards, a batch
-- a transaction: postrider.cancel_deliveries_of(). What that misses (a publish that was open meanwhile, a
-- crash half-way) is cancelled by claim_many when its job is due.
--
-- Locks: the endpoint row. Cost: a few rows.
create or replace function postrider.delete_endpoint(tenant uuid, endpoint uuid) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update postrider.endpoint e
  set deleted_at = now(), updated_at = now(), client_certificate = null, client_key_encrypted = null,
    secret_headers = '{}',
    unreadable_since = null, unreadable_detail = null
  where e.id = delete_endpoint.endpoint and e.tenant_id = delete_endpoint.tenant and e.deleted_at is null
    and postrider.in_scope(e.tenant_id);
  if not found then
    return false;
  end if;
  delete from postrider.endpoint_secret s where s.endpoint_id = delete_endpoint.endpoint;
  return true;
end
$$;
comment on function postrider.delete_endpoint(uuid, uuid) is
  'Marks an endpoint of a tenant as deleted and removes its secrets; false when there is none. Its open deliveries are cancelled by cancel_deliveries_of().';

-- cancel_deliveries_of: cancel a batch of an endpoint's open deliveries, and remove their jobs.
--
-- A delivery that is being sent keeps its claim: the attempt on the wire still writes down its outcome, and
-- finish_many leaves the delivery cancelled. remove_job makes a job that a runner has locked inert.
--
-- Locks: the delivery rows of the batch. Those that a runner has locked at this moment are skipped: waiting
--        for several of them could deadlock with a claim, and claim and finish themselves cancel what
--        belongs to a deleted endpoint.
-- Cost:  two index probes a delivery.
create or replace function postrider.cancel_deliveries_of(endpoint uuid, batch int default 500) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  return postrider.cancel_deliveries(array(
    select d.id
    from postrider.delivery d
    where d.endpoint_id = cancel_deliveries_of.endpoint
      and d.id >= postrider.id_floor(cancel_deliveries_of.endpoint)
      and d.finished_at is null and postrider.in_scope(d.tenant_id)
    order by d.id
    limit batch
    for update skip locked));
end
$$;
comment on function postrider.cancel_deliveries_of(uuid, int) is
  'Cancels up to a batch of an endpoint''s open deliveries and removes their jobs; returns how many. Called until it returns 0.';

