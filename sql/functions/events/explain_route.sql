-- explain_route: why each endpoint of a tenant got an event, or did not.
--
-- That a delivery exists is a fact. Where there is none the reason is worked out with the functions that
-- route_items() uses, from the endpoint as it is now; changed_since says that it has been changed in between.
--
-- Cost: the filter of each endpoint whose type matches, and an index probe for each endpoint shown.
create or replace function postrider.explain_route(tenant uuid, event uuid, endpoints_max int default 100)
returns table (endpoint_id uuid, url text, delivery_id uuid, reason text, changed_since boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  return query
  with published as materialized (
    select ev.id, ev.tenant_id, ev.type, ev.data::jsonb as document, ev.created_at, ev.only_endpoint_id, ev.channels
    from postrider.event ev
    where ev.id = explain_route.event and ev.tenant_id = explain_route.tenant
      and postrider.in_scope(ev.tenant_id)
  ),
  delivered as materialized (
    select d.endpoint_id, d.id
    from postrider.delivery d
    where d.event_id = explain_route.event and d.id >= postrider.id_floor(explain_route.event)
  ),
  considered as (
    select e as endpoint, d.id as delivery_id
    from postrider.endpoint e
    left join delivered d on d.endpoint_id = e.id
    where e.tenant_id = explain_route.tenant and (e.deleted_at is null or d.id is not null)
    order by d.id is null, e.id desc
    limit endpoints_max
  )
  select (c.endpoint).id, (c.endpoint).url, c.delivery_id,
    case
      when c.delivery_id is not null then null
      when (c.endpoint).id = any (w.endpoint_ids) then 'filter_waiting'
      else postrider.reason_unmatched(c.endpoint, p.type, p.document, p.created_at, p.only_endpoint_id, p.channels) end,
    (c.endpoint).updated_at > p.created_at
  from published p
  cross join considered c
  left join postrider.unrouted w on w.tenant_id = p.tenant_id and w.event_id = p.id;
end
$$;
comment on function postrider.explain_route(uuid, uuid, int) is
  'The endpoints of a tenant, the ones that got the event first, with the delivery or the reason why there is none: filter_waiting (its filter is yet to be asked), type, channel, filter, disabled, created_later, erased, test, changed_later.';

-- created_later comes before what the endpoint is like: at the time it was not there.
create or replace function postrider.reason_unmatched(
  endpoint postrider.endpoint, type text, document jsonb, published_at timestamptz, only_endpoint_id uuid,
  channels text[]
) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when only_endpoint_id <> endpoint.id then 'test'
    when endpoint.created_at > published_at then 'created_later'
    when not postrider.wants_type(endpoint.event_types, type) then 'type'
    when not postrider.in_channels(endpoint.channels, channels) then 'channel'
    when document is null and endpoint.filter is not null then 'erased'
    when not postrider.passes_filter(endpoint.filter, document) then 'filter'
    when not postrider.takes_events(endpoint) or exists (
      select from postrider.audit_log a
      where a.target_kind = 'endpoint' and a.target_id = endpoint.id::text
        and a.action = 'enable_endpoint' and a.at > published_at) then 'disabled'
    else 'changed_later' end
$$;
comment on function postrider.reason_unmatched(postrider.endpoint, text, jsonb, timestamptz, uuid, text[]) is
  'Why an event without a delivery to this endpoint has none: test (it was for another endpoint only), created_later, type, channel (it has channels, and the event none of them), filter, erased (its data is gone, so the filter cannot be asked), disabled (now, or at the time), changed_later (as the endpoint is now it would match).';
