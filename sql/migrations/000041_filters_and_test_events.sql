-- Filters that Postgres can read, and events for a single endpoint.
--
-- What:  a check on endpoint.filter; event.only_endpoint_id.
-- Why:   publish evaluates every filter of a tenant, so one that is no jsonpath (the API refuses it, but
--        endpoints can be written with SQL as well) would make every publish of the tenant fail. Test
--        events are for one endpoint, whatever the others would want.
-- Locks: ACCESS EXCLUSIVE on endpoint, event and its partitions for a moment; nothing is read or rewritten.
-- breaking: no

alter table postrider.endpoint
  add constraint endpoint_filter_readable check (filter is null or filter::jsonpath is not null) not valid;

alter table postrider.event add column only_endpoint_id uuid;
comment on column postrider.event.only_endpoint_id is 'The one endpoint that a test event is for; null = routed by type and filter.';
