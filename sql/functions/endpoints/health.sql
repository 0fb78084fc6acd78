-- Endpoint health: circuit breaker, automatic disabling, operational events.
--
-- States of a circuit:
--   no row      the last attempt succeeded
--   counting    failed, or refused an event, since the last success; deliveries go on
--   open        20 failures in a row: deliveries are held. A 'probe' job at probe_at lets one through
--               (probe_delivery_id). Each failed probe doubles the pause, from 30 s to 30 min.
--   (no row)    a success closes it, and the held deliveries are released in batches ('align' job)
--   counting    an answer that refuses the event closes it too: the receiver lives. Only a success has the pauses
--               begin at 30 s again, so that a receiver which refuses and fails by turns is not asked more and more.
--
-- 20: a receiver that restarts under load fails some at once, and their first retry comes a minute later
-- anyway; a dead one costs 20 timeouts instead of its whole backlog.
--
-- Disabling takes failures throughout the period: of three deliveries at least, no more than a quarter of the period
-- apart, and no success among them. Refusals never disable: the operator is told of the twentieth without a success.
-- A test that fails or is refused counts for neither; one that is delivered is a success like any other. A timeout counts
-- for neither when the endpoint answered what was sent later: it hangs with this event.

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
  'Whether an attempt failed; one that found no data to send did not.';

-- refuses_event: which answers are about the event that was sent, and not about the endpoint.
--
-- 4xx is the sender's mistake by definition, and an unknown 4xx is to be read as 400 (RFC 9110, 15). The exceptions
-- say something that would be said of any event:
--   401 402 403 407  who we are, and whether we may: credentials, an unpaid account, a firewall
--   405 421 426      the URL does not lead to a receiver of webhooks
--   408 425 429      not at this moment
--   410              the receiver wants nothing any more
-- 404 counts for the event: many receivers look for what the data names. 501 too: it is the answer of receivers to a
-- type of event that they do not know. Of what is counted wrongly either way, nothing is lost: a circuit is probed
-- with ever other deliveries, and refusals are told to the operator.
create or replace function postrider.refuses_event(status_code int) returns boolean
language sql immutable parallel safe
return coalesce(
  (status_code between 400 and 499 and status_code not in (401, 402, 403, 405, 407, 408, 410, 421, 425, 426, 429))
    or status_code = 501, false);
comment on function postrider.refuses_event(int) is
  'Whether a response with this status is about the event that was sent (400, 404, 413, 422 ...), so that it counts for the delivery only: the receiver lives.';

create or replace function postrider.says_of_endpoint(settled postrider.settled_delivery, is_test boolean)
returns text
language sql stable parallel safe
return case
  when settled.uncounted then null
  when settled.outcome = 'delivered' then 'works'
  when settled.halved then 'answers'
  when settled.outcome = 'rejected' and (postrider.refuses_event(settled.status_code) or settled.reason = 'item_failed') then
    case when is_test then 'answers' else 'refuses' end
  when postrider.is_failure(settled) and not is_test and settled.overtaken is not true then 'fails' end;
comment on function postrider.says_of_endpoint(postrider.settled_delivery, boolean) is
  'What an attempt says of its endpoint: works, refuses (this event; the receiver lives), answers (to a test, or that a batch is too large: the same, and not counted), fails; null = nothing, such as a test that failed, a timeout while others were answered, or what another attempt of the same batch says already.';

-- note_health: what a batch of finished attempts says about its endpoints. Costs one index probe an
-- endpoint while all is well. Rows are locked in endpoint order, so that two batches cannot deadlock.
-- In which order the attempts of a batch ended is not known: what shows life counts as the last.
--
-- Where all were delivered and no endpoint has a circuit, nothing changes and that is all that is asked (measured: the
-- statement that looks at each of them was a tenth of the finish of 2 to 4 attempts).
create or replace function postrider.note_health(
  settled postrider.settled_delivery[], disable_after interval
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  seen record;
begin
  if (select bool_and(s.outcome = 'delivered') from unnest(settled) as s) and not exists (
    select from postrider.circuit c where c.endpoint_id = any (array(select s.endpoint_id from unnest(settled) as s)))
  then
    return;
  end if;

  for seen in
    select s.endpoint_id, s.tenant_id,
      bool_or(s.says = 'works') as works,
      bool_or(s.says in ('refuses', 'answers')) as answers,
      count(*) filter (where s.says = 'refuses') as refusals,
      array_agg(s.id) filter (where s.says = 'fails') as failed,
      array_agg(postrider.incident_cause(s.status_code, s.reason)) filter (where s.says = 'fails') as causes,
      array_agg(s.attempt_id) filter (where s.says = 'fails') as attempts,
      array_agg(postrider.incident_cause(s.status_code, s.reason)) filter (where s.says = 'refuses' or s.reason = 'fault')
        as lasting_causes,
      array_agg(s.attempt_id) filter (where s.says = 'refuses' or s.reason = 'fault') as lasting_attempts,
      bool_or(s.says = 'fails' and s.status_code = 410) as gone,
      bool_or(s.id = c.probe_delivery_id) as probed,
      bool_or(s.id = c.probe_delivery_id and s.reason = 'fault') as probe_failed_here
    from (
      select u.*, postrider.says_of_endpoint(u, u.trigger = 'test') as says from unnest(settled) as u offset 0
    ) as s
    left join postrider.circuit c on c.endpoint_id = s.endpoint_id
    group by s.endpoint_id, s.tenant_id, c.endpoint_id
    having c.endpoint_id is not null or bool_or(s.says in ('refuses', 'fails') or s.reason = 'fault')
    order by s.endpoint_id
  loop
    if seen.works then
      perform postrider.note_success(seen.endpoint_id, seen.tenant_id);
    elsif seen.failed is not null then
      perform postrider.note_failures(seen.endpoint_id, seen.tenant_id, seen.failed,
        case when seen.answers then 0 else cardinality(seen.failed) end, seen.probed and not seen.answers, disable_after,
        seen.causes, seen.attempts);
    elsif seen.probed and not seen.answers then
      -- The probe ended without a verdict about the receiver (a shutdown cut it off): try again soon. A fault of
      -- ours may meet every probe of this endpoint, and each uses up the schedule of its delivery.
      perform postrider.schedule_probe(seen.endpoint_id,
        now() + case when seen.probe_failed_here then postrider.probe_pause(0) else interval '1 second' end);
    end if;
    if seen.answers and not seen.works then
      perform postrider.note_answers(seen.endpoint_id, seen.tenant_id, seen.refusals::int, seen.lasting_causes,
        seen.lasting_attempts);
    elsif seen.lasting_causes is not null and seen.works is not true then
      perform postrider.note_lasting_causes(seen.endpoint_id, seen.tenant_id, seen.lasting_causes, seen.lasting_attempts);
    end if;
    if seen.gone then
      perform postrider.note_gone(seen.endpoint_id, seen.attempts);
    end if;
  end loop;

  perform postrider.emit(s.tenant_id, 'delivery.exhausted', json_build_object(
    'deliveryId', s.id, 'eventId', s.event_id, 'endpointId', s.endpoint_id,
    'tenant', t.key, 'outcome', s.outcome, 'reason', s.reason, 'statusCode', s.status_code))
  from unnest(settled) as s
  join postrider.tenant t on t.id = s.tenant_id
  where s.state = 'failed' and (postrider.is_failure(s) or s.reason = 'fault');
end
$$;
comment on function postrider.note_health(postrider.settled_delivery[], interval) is
  'Counts failures in a row, opens and closes circuits, disables endpoints, and emits the operational events, in the transaction of the finish.';

-- note_gone: a receiver that was asked at the URL before says nothing of the one that is asked now. The attempts have
-- their URLs by now: finish_many().
create or replace function postrider.note_gone(endpoint uuid, attempts uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  asked constant text := (
    select a.url from postrider.attempt a
    where a.id = any (attempts) and a.status_code = 410 order by a.id desc limit 1);
begin
  perform from postrider.endpoint e where e.id = endpoint and (asked is null or e.url = asked) for no key update;
  if found then
    perform postrider.disable_endpoint(endpoint, 'the endpoint returned 410 Gone');
  end if;
end
$$;
comment on function postrider.note_gone(uuid, uuid[]) is
  'Disables an endpoint that answered one of these attempts with 410, unless its URL was changed meanwhile.';

create or replace function postrider.note_success(endpoint uuid, tenant uuid) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  closed postrider.circuit;
begin
  delete from postrider.circuit c where c.endpoint_id = endpoint returning * into closed;
  perform postrider.tell_recovery(closed);
end
$$;
comment on function postrider.note_success(uuid, uuid) is
  'Closes the circuit of an endpoint, if it has one, and has its held deliveries released.';

create or replace function postrider.tell_recovery(closed postrider.circuit) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  if closed.opened_at is not null then
    perform postrider.enqueue_endpoint_job('align', closed.endpoint_id, now());
    perform postrider.emit(closed.tenant_id, 'endpoint.recovered', json_build_object(
      'endpointId', closed.endpoint_id, 'failures', closed.failures, 'failingSince', closed.failing_since));
  end if;
end
$$;
comment on function postrider.tell_recovery(postrider.circuit) is
  'Has what was held released and tells the operator, if this circuit, which is closed now, was open.';

-- note_answers: the receiver lives, but nothing was delivered. Neither the period of disabling nor the pauses
-- between probes begin again, for which it takes a success.
create or replace function postrider.note_answers(
  endpoint uuid, tenant uuid, refusals int, causes text[], attempts uuid[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  refusals_to_tell constant int := 20;
  before postrider.circuit;
begin
  if refusals > 0 then
    insert into postrider.circuit (endpoint_id, tenant_id, failures, failing_since)
    values (endpoint, tenant, 0, null)
    on conflict do nothing;
  end if;
  select * into before from postrider.circuit c where c.endpoint_id = endpoint for no key update;
  update postrider.circuit c
  set failures = 0, causes = '{}', opened_at = null, probe_at = null, probe_delivery_id = null,
    probe_count = c.probe_count + (c.opened_at is not null)::int,
    refusals = c.refusals + note_answers.refusals,
    refusing_since = case when c.refusals + note_answers.refusals > 0 then coalesce(c.refusing_since, now()) end,
    lasting_causes = postrider.add_causes(c.lasting_causes, note_answers.causes, attempts)
  where c.endpoint_id = endpoint;
  perform postrider.tell_recovery(before);
  if before.refusals < refusals_to_tell and before.refusals + refusals >= refusals_to_tell then
    perform postrider.emit(tenant, 'endpoint.refusing', json_build_object('endpointId', endpoint,
      'refusals', before.refusals + refusals, 'refusingSince', coalesce(before.refusing_since, now())));
  end if;
end
$$;
comment on function postrider.note_answers(uuid, uuid, int, text[], uuid[]) is
  'Counts events that a receiver refused, with their causes (parallel arrays: cause, attempt), and ends its failures in a row, since it lives: closes its circuit if that is open. Tells the operator of the twentieth refusal without a success.';

-- note_failures: a failure that comes long after the one before begins a new count, since what was in between is
-- not known. A quarter of the period: the last retries of the default schedule are a day apart, the period is
-- five. An hour at least, since probes are half an hour apart.
create or replace function postrider.note_failures(
  endpoint uuid, tenant uuid, failed uuid[], in_a_row int, probed boolean, disable_after interval,
  causes text[], attempts uuid[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  failures_to_open constant int := 20;
  deliveries_to_disable constant int := 3;
  quiet constant interval := greatest(disable_after / 4, interval '1 hour');
  circuit postrider.circuit;
begin
  insert into postrider.circuit as c (
    endpoint_id, tenant_id, failures, failing_since, failed_at, failed_deliveries, causes)
  values (endpoint, tenant, in_a_row, now(), now(), postrider.some_of(failed, deliveries_to_disable),
    postrider.add_causes('{}', note_failures.causes, attempts))
  on conflict (endpoint_id) do update set failed_at = now(),
    causes = postrider.add_causes(
      case when c.failed_at >= now() - quiet then c.causes else '{}' end, note_failures.causes, attempts),
    failures = excluded.failures + case when c.failed_at >= now() - quiet then c.failures else 0 end,
    failing_since = case when c.failed_at >= now() - quiet then c.failing_since else now() end,
    failed_deliveries = postrider.some_of(
      case when c.failed_at >= now() - quiet then c.failed_deliveries else '{}' end || failed, deliveries_to_disable)
  returning * into circuit;

  if circuit.opened_at is null and circuit.failures >= failures_to_open then
    update postrider.circuit c set opened_at = now() where c.endpoint_id = endpoint;
    perform postrider.schedule_probe(endpoint, now() + postrider.probe_pause(circuit.probe_count));
    perform postrider.emit(tenant, 'endpoint.failing', json_build_object(
      'endpointId', endpoint, 'failures', circuit.failures, 'failingSince', circuit.failing_since));
  elsif probed then
    update postrider.circuit c set probe_count = c.probe_count + 1 where c.endpoint_id = endpoint;
    perform postrider.schedule_probe(endpoint, now() + postrider.probe_pause(circuit.probe_count + 1));
  end if;
  if circuit.failing_since < now() - disable_after
    and cardinality(circuit.failed_deliveries) >= deliveries_to_disable
  then
    perform postrider.disable_endpoint(endpoint,
      format('it failed since %s without one success', to_char(circuit.failing_since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')));
  end if;
end
$$;
comment on function postrider.note_failures(uuid, uuid, uuid[], int, boolean, interval, text[], uuid[]) is
  'Counts failures of these deliveries, so many of them in a row, with their causes (parallel arrays: cause, attempt); opens the circuit at the twentieth in a row, plans the next probe after a failed one, disables the endpoint when it has failed throughout the period.';

-- note_lasting_causes: by themselves they neither open a circuit nor count as failures.
create or replace function postrider.note_lasting_causes(endpoint uuid, tenant uuid, causes text[], attempts uuid[])
returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into postrider.circuit as c (endpoint_id, tenant_id, failures, failing_since, lasting_causes)
  values (endpoint, tenant, 0, null, postrider.add_causes('{}', causes, attempts))
  on conflict (endpoint_id) do update
  set lasting_causes = postrider.add_causes(c.lasting_causes, note_lasting_causes.causes, attempts)
$$;
comment on function postrider.note_lasting_causes(uuid, uuid, text[], uuid[]) is
  'Counts faults of this service by cause (parallel arrays: cause, attempt), until the next success of the endpoint.';

create or replace function postrider.some_of(ids uuid[], most int) returns uuid[]
language sql immutable parallel safe
return array(select distinct u.id from unnest(ids) as u (id) limit most);
comment on function postrider.some_of(uuid[], int) is 'The different ids among these, so many at most.';

create or replace function postrider.disable_endpoint(endpoint uuid, reason text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  disabled postrider.endpoint;
begin
  update postrider.endpoint e set state = 'disabled', disabled_reason = reason, disabled_at = now()
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
  'Disables an endpoint: what is open is held, new events do not match it, and the operator is informed.';

-- emit: publish an operational event, in the same transaction as what it is about, to the operator's own
-- endpoints. Nothing about those endpoints themselves: two dead ones would feed each other without end.
create or replace function postrider.emit(about_tenant uuid, type text, data json) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.store_events(json_build_array(json_build_object(
    'tenant', operator.key, 'type', emit.type, 'data', emit.data)), by_service => true)
  from postrider.tenant operator
  where operator.key = 'postrider:operator' and operator.id <> about_tenant;
end
$$;
comment on function postrider.emit(uuid, text, json) is
  'Publishes an operational event (endpoint.failing, endpoint.refusing, endpoint.recovered, endpoint.disabled, endpoint.unreadable, incident.opened, incident.closed, incident.reported, delivery.exhausted) of the tenant postrider:operator.';
