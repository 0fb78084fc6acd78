-- Endpoint health: circuit breaker, automatic disabling, operational events.
--
-- States of a circuit:
--   no row      the last attempt succeeded
--   counting    failed since the last success; deliveries go on
--   open        20 failures in a row: deliveries are held. A 'probe' job at probe_at lets one through
--               (probe_delivery_id). Each failed probe doubles the pause, from 30 s to 30 min.
--   (no row)    a success closes it, and the held deliveries are released in batches ('align' job)
--
-- 20: a receiver that restarts under load fails some at once, and their first retry comes a minute later
-- anyway; a dead one costs 20 timeouts instead of its whole backlog.

create or replace function postrider.sendable(
  endpoint postrider.endpoint, tenant postrider.tenant, circuit postrider.circuit
) returns boolean
language sql immutable parallel safe
return postrider.accepts_work(endpoint, tenant) and circuit.opened_at is null;
comment on function postrider.sendable(postrider.endpoint, postrider.tenant, postrider.circuit) is
  'Whether a delivery of this endpoint may become pending: people let it, and its circuit (null = none) is closed.';

create or replace function postrider.probe_pause(failed_probes int) returns interval
language sql volatile
return least(interval '30 minutes', interval '30 seconds' * power(2, least(failed_probes, 10)))
  * (0.9 + 0.2 * random());
comment on function postrider.probe_pause(int) is
  'Pause before the next probe of an open circuit: 30 s, doubled by each failed probe, 30 min at most, +-10 %.';

-- What was blocked is the endpoint's trouble: its URL, or what its name leads to. Erased data is not.
create or replace function postrider.is_failure(settled postrider.settled_delivery) returns boolean
language sql immutable parallel safe
return case settled.outcome
  when 'rejected' then true
  when 'unreachable' then true
  when 'blocked' then settled.reason is distinct from 'erased'
  else false end;
comment on function postrider.is_failure(postrider.settled_delivery) is
  'Whether an attempt says that its endpoint fails; one that found no data to send does not.';

-- note_health: what a batch of finished attempts says about its endpoints. Costs one index probe an
-- endpoint while all is well. Rows are locked in endpoint order, so that two batches cannot deadlock.
create or replace function postrider.note_health(settled postrider.settled_delivery[], disable_after interval)
returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  seen record;
begin
  for seen in
    select s.endpoint_id, s.tenant_id, c.opened_at, c.probe_delivery_id,
      count(*) filter (where s.outcome = 'delivered') as successes,
      count(*) filter (where postrider.is_failure(s)) as failures,
      bool_or(s.outcome = 'rejected' and s.status_code = 410) as gone,
      bool_or(s.id = c.probe_delivery_id) as probed
    from unnest(settled) as s
    left join postrider.circuit c on c.endpoint_id = s.endpoint_id
    group by s.endpoint_id, s.tenant_id, c.endpoint_id
    having c.endpoint_id is not null or bool_or(postrider.is_failure(s))
    order by s.endpoint_id
  loop
    if seen.successes > 0 then
      perform postrider.note_success(seen.endpoint_id, seen.tenant_id);
    elsif seen.failures > 0 then
      perform postrider.note_failures(seen.endpoint_id, seen.tenant_id, seen.failures::int, seen.probed, disable_after);
    elsif seen.probed then
      -- The probe ended without a verdict about the receiver (a shutdown cut it off): try again soon.
      perform postrider.schedule_probe(seen.endpoint_id, now() + interval '1 second');
    end if;
    if seen.gone then
      perform postrider.disable_endpoint(seen.endpoint_id, 'the endpoint answered 410 Gone');
    end if;
  end loop;

  perform postrider.emit(s.tenant_id, 'delivery.exhausted', json_build_object(
    'deliveryId', s.id, 'eventId', s.event_id, 'endpointId', s.endpoint_id,
    'tenant', t.key, 'outcome', s.outcome, 'reason', s.reason, 'statusCode', s.status_code))
  from unnest(settled) as s
  join postrider.tenant t on t.id = s.tenant_id
  where s.state = 'failed' and postrider.is_failure(s);
end
$$;
comment on function postrider.note_health(postrider.settled_delivery[], interval) is
  'Counts failures in a row, opens and closes circuits, disables endpoints, and emits the operational events, in the transaction of the finish.';

create or replace function postrider.note_success(endpoint uuid, tenant uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  closed postrider.circuit;
begin
  delete from postrider.circuit c where c.endpoint_id = endpoint returning * into closed;
  if closed.opened_at is not null then
    perform postrider.enqueue_endpoint_job('align', endpoint, now());
    perform postrider.emit(tenant, 'endpoint.recovered', json_build_object(
      'endpointId', endpoint, 'failures', closed.failures, 'failingSince', closed.failing_since));
  end if;
end
$$;
comment on function postrider.note_success(uuid, uuid) is
  'Closes the circuit of an endpoint, if it has one, and has its held deliveries released.';

create or replace function postrider.note_failures(
  endpoint uuid, tenant uuid, count int, probed boolean, disable_after interval
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  failures_to_open constant int := 20;
  circuit postrider.circuit;
begin
  insert into postrider.circuit as c (endpoint_id, tenant_id, failures)
  values (endpoint, tenant, count)
  on conflict (endpoint_id) do update set failures = c.failures + excluded.failures
  returning * into circuit;

  if circuit.opened_at is null and circuit.failures >= failures_to_open then
    update postrider.circuit c set opened_at = now() where c.endpoint_id = endpoint;
    perform postrider.schedule_probe(endpoint, now() + postrider.probe_pause(0));
    perform postrider.emit(tenant, 'endpoint.failing', json_build_object(
      'endpointId', endpoint, 'failures', circuit.failures, 'failingSince', circuit.failing_since));
  elsif probed then
    update postrider.circuit c set probe_count = c.probe_count + 1 where c.endpoint_id = endpoint;
    perform postrider.schedule_probe(endpoint, now() + postrider.probe_pause(circuit.probe_count + 1));
  end if;
  if circuit.failing_since < now() - disable_after then
    perform postrider.disable_endpoint(endpoint,
      format('it failed since %s without one success', to_char(circuit.failing_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')));
  end if;
end
$$;
comment on function postrider.note_failures(uuid, uuid, int, boolean, interval) is
  'Counts failures; opens the circuit at the twentieth in a row, plans the next probe after a failed one, disables the endpoint when it has failed for too long.';

create or replace function postrider.disable_endpoint(endpoint uuid, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  disabled postrider.endpoint;
begin
  update postrider.endpoint e set state = 'disabled', disabled_reason = reason
  where e.id = endpoint and e.state <> 'disabled' and e.deleted_at is null
  returning * into disabled;
  if disabled.id is not null then
    perform postrider.enqueue_endpoint_job('align', endpoint, now());
    perform postrider.emit(disabled.tenant_id, 'endpoint.disabled', json_build_object(
      'endpointId', endpoint, 'url', disabled.url, 'reason', reason));
  end if;
end
$$;
comment on function postrider.disable_endpoint(uuid, text) is
  'Disables an endpoint: what is open is held, new events do not match it, and the operator is told.';

-- emit: publish an operational event, in the same transaction as what it is about, to the operator's own
-- endpoints. Nothing about those endpoints themselves: two dead ones would feed each other without end.
create or replace function postrider.emit(about_tenant uuid, type text, data json) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.publish_many(json_build_array(json_build_object(
    'tenant', operator.key, 'type', emit.type, 'data', emit.data)))
  from postrider.tenant operator
  where operator.key = 'postrider:operator' and operator.id <> about_tenant;
end
$$;
comment on function postrider.emit(uuid, text, json) is
  'Publishes an operational event (endpoint.failing, endpoint.recovered, endpoint.disabled, delivery.exhausted) of the tenant postrider:operator.';
