-- publish_test: store an event for one endpoint, whatever its type and filter, and one attempt of it.
--
-- The way from here on is the ordinary one: job, claim, signature, audit row. schedule_step is beyond the end
-- of every retry schedule, so the first outcome is final. An open circuit lets tests pass: one that is delivered
-- closes it, while one that fails counts for nothing, and leaves the planned probe as it is.
--
-- Cost: a few index probes.
create or replace function postrider.publish_test(endpoint uuid, type text, data json)
returns table (event_id uuid, delivery_id uuid, error text)
language plpgsql security definer
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
    json_build_object('tenant', t.key, 'type', publish_test.type, 'data', publish_test.data)), by_service => true))[1].*
  into item
  from postrider.endpoint e
  join postrider.tenant t on t.id = e.tenant_id
  where e.id = endpoint;
  if item.error is not null then
    return query select null::uuid, null::uuid, item.error;
    return;
  end if;

  insert into postrider.event (id, tenant_id, type, data, occurred_at, only_endpoint_id)
  values (item.event_id, item.tenant_id, item.type, item.data, coalesce(item.occurred_at, clock_timestamp()), endpoint);
  delivery := (postrider.open_deliveries(array[item.tenant_id], array[item.event_id], array[endpoint],
    array[null::text], array[now()], 'test', beyond_schedule))[1];
  return query select item.event_id, delivery, null::text;
end
$$;
comment on function postrider.publish_test(uuid, text, json) is
  'Stores an event for one endpoint with a delivery of a single attempt, in the caller''s transaction. Raises 55000 where the endpoint accepts no work; error is a code as of publish_many.';
