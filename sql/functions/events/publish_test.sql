-- publish_test: store an event for one endpoint, whatever its type and filter, and one attempt of it.
-- publish_example: the same with the retry schedule of the endpoint, as Svix does it.
--
-- The way from here on is the ordinary one: job, claim, signature, audit row. The schedule_step of publish_test is beyond the
-- end of every retry schedule, so the first outcome is final. Both are tests, also when they are tried again: an open
-- circuit lets them pass, and one that is delivered closes it, while one that fails counts for nothing, and leaves the planned
-- probe as it is.
--
-- Cost: a few index probes.
create or replace function postrider.publish_to(
  endpoint uuid, type text, data json, is_example boolean
) returns table (event_id uuid, delivery_id uuid, error text)
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  beyond_schedule constant int := 1000000;
  item postrider.publish_item;
  delivery uuid;
begin
  perform postrider.refuse_unless_accepting(endpoint);
  select (postrider.parse_publish_items_one_by_one(json_build_array(
    json_build_object('tenant', t.key, 'type', publish_to.type, 'data', publish_to.data)), by_service => true))[1].*
  into item
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  where e.id = endpoint;
  if item.error is not null then
    return query select null::uuid, null::uuid, item.error;
    return;
  end if;

  insert into postrider.event (id, tenant_id, type, data, occurred_at, only_endpoint_id, as_svix)
  values (item.event_id, item.tenant_id, item.type, item.data, coalesce(item.occurred_at, clock_timestamp()), endpoint,
    case when is_example then true end);
  delivery := (postrider.open_deliveries(array[item.tenant_id], array[item.event_id], array[endpoint],
    array[null::text], array[now()], 'test', case when is_example then 0 else beyond_schedule end))[1];
  return query select item.event_id, delivery, null::text;
end
$$;
comment on function postrider.publish_to(uuid, text, json, boolean) is
  'What publish_test and publish_example do.';

create or replace function postrider.publish_test(endpoint uuid, type text, data json)
returns table (event_id uuid, delivery_id uuid, error text)
language sql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select * from postrider.publish_to(endpoint, type, data, is_example => false)
$$;
comment on function postrider.publish_test(uuid, text, json) is
  'Stores an event for one endpoint with a delivery of a single attempt, in the caller''s transaction. Raises 55000 where the endpoint accepts no work; error is a code as of publish_many.';

create or replace function postrider.publish_example(endpoint uuid, type text, data json)
returns table (event_id uuid, delivery_id uuid, error text)
language sql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
  select * from postrider.publish_to(endpoint, type, data, is_example => true)
$$;
comment on function postrider.publish_example(uuid, text, json) is
  'Stores an event for one endpoint with a delivery on its retry schedule, sent as Svix sends it, in the caller''s transaction. Raises and answers as publish_test().';
