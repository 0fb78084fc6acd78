-- What people do about an incident. Each writes a row of audit_log.

create or replace view postrider.incident_list as
select i.id, i.tenant_id, t.key as tenant_key, t.name as tenant_name, i.endpoint_id, e.url, e.description,
  e.state as endpoint_state, e.disabled_reason, i.cause, postrider.cause_in_words(i.cause) as cause_in_words, i.verdict,
  i.opened_at, i.first_seen_at, i.last_seen_at, i.failures,
  (select count(*)::int from (
    select from postrider.delivery d
    where d.endpoint_id = i.endpoint_id and d.held_reason = any (postrider.endpoint_reasons()) limit 10000) as counted) as held,
  a.status_code as last_status_code,
  coalesce(regexp_replace(a.error, '^the receiver (?:answered|returned)', 'returned'), 'returned ' || a.status_code) as last_answer,
  i.last_attempt_id, a.delivery_id as last_delivery_id,
  c.opened_at as circuit_opened_at, c.probe_at, i.reopened_count, i.closed_at, i.closed_reason,
  i.acknowledged_at, i.acknowledged_by, i.note, i.noted_by, i.notified_at, i.notified_by,
  (select count(*)::int from (
    select from postrider.delivery d
    where d.endpoint_id = i.endpoint_id and d.held_reason = 'order' limit 10000) as counted) as waiting,
  c.opened_at is not null or exists (
    select from (
      select d.state, d.attempt_count from postrider.delivery d
      where d.endpoint_id = i.endpoint_id and d.finished_at is null order by d.id limit 1000) as oldest
    where oldest.state = 'pending' and oldest.attempt_count > 0) as can_probe
from postrider.incident i
join postrider.tenant t on t.id = i.tenant_id
join postrider.endpoint e on e.id = i.endpoint_id
left join postrider.circuit c on c.endpoint_id = i.endpoint_id
left join lateral (
  select a.status_code, a.error, a.delivery_id from postrider.attempt a where a.id = i.last_attempt_id) as a on true;
comment on view postrider.incident_list is
  'Incidents with the names people know: which customer, since when, why, whose trouble it is, what is held. Open ones: where closed_at is null. Cost: some index probes a row, and the held deliveries of its endpoint up to 20,000.';
comment on column postrider.incident_list.id is 'The incident.';
comment on column postrider.incident_list.tenant_id is 'Whose endpoint it is.';
comment on column postrider.incident_list.tenant_key is 'Key of the tenant.';
comment on column postrider.incident_list.tenant_name is 'Name of the tenant.';
comment on column postrider.incident_list.endpoint_id is 'The failing endpoint.';
comment on column postrider.incident_list.url is 'Its URL.';
comment on column postrider.incident_list.description is 'What people call it.';
comment on column postrider.incident_list.endpoint_state is 'active, paused or disabled.';
comment on column postrider.incident_list.disabled_reason is 'Why it is disabled.';
comment on column postrider.incident_list.cause is 'As in incident.cause.';
comment on column postrider.incident_list.cause_in_words is 'The cause for people.';
comment on column postrider.incident_list.verdict is 'Whose trouble it is likely to be: ours or theirs.';
comment on column postrider.incident_list.opened_at is 'When it was opened, or opened again.';
comment on column postrider.incident_list.first_seen_at is 'When the first of its failures ended.';
comment on column postrider.incident_list.last_seen_at is 'When the last of its failures ended.';
comment on column postrider.incident_list.failures is 'Failed attempts with this cause.';
comment on column postrider.incident_list.held is 'Deliveries of the endpoint that are held now, without the ones that wait for an earlier event of their ordering key; 10,000 stands for that many or more.';
comment on column postrider.incident_list.last_status_code is 'Status of the last response; null when there was none.';
comment on column postrider.incident_list.last_answer is 'What the last failed attempt led to, in words; null where nothing was sent, or it is no longer stored.';
comment on column postrider.incident_list.last_attempt_id is 'That attempt.';
comment on column postrider.incident_list.last_delivery_id is 'Its delivery.';
comment on column postrider.incident_list.circuit_opened_at is 'Since when deliveries are held except for a probe now and then; null = they are not.';
comment on column postrider.incident_list.probe_at is 'When the next probe is due.';
comment on column postrider.incident_list.reopened_count is 'How often it came back.';
comment on column postrider.incident_list.closed_at is 'When it was closed; null = open.';
comment on column postrider.incident_list.closed_reason is 'recovered, quiet or deleted; null = open.';
comment on column postrider.incident_list.acknowledged_at is 'Since when somebody takes care of it.';
comment on column postrider.incident_list.acknowledged_by is 'Who does.';
comment on column postrider.incident_list.note is 'What people know about it.';
comment on column postrider.incident_list.noted_by is 'Who wrote the note.';
comment on column postrider.incident_list.notified_at is 'When the customer was notified.';
comment on column postrider.incident_list.notified_by is 'Who notified them.';
comment on column postrider.incident_list.waiting is 'Deliveries of the endpoint that wait for an earlier event of their ordering key; 10,000 stands for that many or more.';
comment on column postrider.incident_list.can_probe is 'Whether probe_incident() has something to try: the circuit is open, or one of the 1,000 oldest open deliveries of the endpoint waits for its next attempt.';

create or replace function postrider.lock_incident(incident uuid) returns postrider.incident
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  target postrider.incident;
begin
  select * into target from postrider.incident i
  where i.id = lock_incident.incident and postrider.in_scope(i.tenant_id) for no key update;
  if target.id is null then
    raise exception 'there is no incident %', incident using errcode = 'P0002',
      hint = 'Ids are in the API and in postrider.incident_list.';
  end if;
  return target;
end
$$;
comment on function postrider.lock_incident(uuid) is
  'The incident, locked until the end of the transaction; raises P0002 when there is none.';

create or replace function postrider.audit_incident(
  who text, action text, target postrider.incident, detail jsonb default '{}'
) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  select postrider.audit(who, action, 'incident', target.id::text, target.tenant_id,
    jsonb_build_object('endpoint', target.endpoint_id, 'cause', target.cause) || detail)
$$;
comment on function postrider.audit_incident(text, text, postrider.incident, jsonb) is
  'Writes down what was done about an incident.';

create or replace function postrider.acknowledge_incident(incident uuid, who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target postrider.incident := postrider.lock_incident(incident);
begin
  if target.acknowledged_at is null then
    update postrider.incident i set acknowledged_at = now(), acknowledged_by = coalesce(who, session_user)
    where i.id = target.id;
    perform postrider.audit_incident(who, 'acknowledge_incident', target);
  end if;
end
$$;
comment on function postrider.acknowledge_incident(uuid, text) is
  'Says that somebody takes care of an incident. The first one stays.';

create or replace function postrider.note_incident(incident uuid, note text, who text default session_user) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target postrider.incident := postrider.lock_incident(incident);
  written constant text := nullif(trim(note_incident.note), '');
begin
  update postrider.incident i
  set note = written, noted_by = case when written is not null then coalesce(who, session_user) end
  where i.id = target.id;
  perform postrider.audit_incident(who, 'note_incident', target, jsonb_build_object('note', written));
end
$$;
comment on function postrider.note_incident(uuid, text, text) is
  'Notes what is known about an incident, in place of the note before; an empty one removes it.';

-- probe_incident: with an open circuit its probe is due now; otherwise the oldest delivery that has failed is tried.
create or replace function postrider.probe_incident(incident uuid, who text default session_user) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  target postrider.incident := postrider.lock_incident(incident);
  circuit postrider.circuit;
  waiting uuid;
begin
  perform postrider.refuse_unless_accepting(target.endpoint_id);
  select * into circuit from postrider.circuit c where c.endpoint_id = target.endpoint_id for no key update;
  if circuit.opened_at is not null and circuit.probe_delivery_id is not null then
    return 'a probe is under way';
  end if;
  if circuit.opened_at is not null then
    perform postrider.schedule_probe(target.endpoint_id, now());
    perform postrider.audit_incident(who, 'probe_incident', target);
    return 'a probe is due now';
  end if;
  select d.id into waiting from postrider.delivery d
  where d.endpoint_id = target.endpoint_id and d.finished_at is null and d.state = 'pending' and d.attempt_count > 0
  order by d.id limit 1;
  if waiting is null then
    raise exception 'nothing waits for this endpoint' using errcode = '55000',
      hint = 'Send it a test event, or replay deliveries that failed.';
  end if;
  perform postrider.retry_now(waiting, who);
  perform postrider.audit_incident(who, 'probe_incident', target, jsonb_build_object('delivery', waiting));
  return format('delivery %s is due now', waiting);
end
$$;
comment on function postrider.probe_incident(uuid, text) is
  'Has one delivery tried at once, to see whether the receiver works again. Says what it did; raises 55000 with the remedy where nothing can be sent.';

-- release_incident: the counts stay as they are until a success, and 20 more failures open the circuit again.
create or replace function postrider.release_incident(incident uuid, who text default session_user) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.incident := postrider.lock_incident(incident);
  held int;
begin
  perform postrider.refuse_unless_accepting(target.endpoint_id);
  held := postrider.left_in('held', target.endpoint_id);
  perform postrider.close_circuits(array[target.endpoint_id]);
  perform postrider.enqueue_endpoint_job('align', target.endpoint_id, now());
  perform postrider.audit_incident(who, 'release_incident', target, jsonb_build_object('held', held));
  return held;
end
$$;
comment on function postrider.release_incident(uuid, text) is
  'Closes the circuit of the endpoint by hand and has what is held sent, 100 a second; 20 failures in a row open it again. Returns how many are held (10,000 = at least). Raises 55000 with the remedy where people hold the endpoint.';

create or replace function postrider.pause_incident(incident uuid, who text default session_user) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.incident := postrider.lock_incident(incident);
begin
  perform postrider.audit_incident(who, 'pause_incident', target);
  return postrider.pause_endpoint(target.endpoint_id, who);
end
$$;
comment on function postrider.pause_incident(uuid, text) is
  'Pauses the endpoint of an incident: pause_endpoint().';

create or replace function postrider.incident_message(incident uuid) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  i postrider.incident_list;
  name text;
begin
  select * into i from postrider.incident_list l
  where l.id = incident_message.incident and postrider.in_scope(l.tenant_id);
  if i.id is null then
    raise exception 'there is no incident %', incident using errcode = 'P0002';
  end if;
  name := case when i.description = '' then i.url else format('"%s" (%s)', i.description, i.url) end;
  return concat_ws(e'\n\n',
    format('Webhook deliveries to your endpoint %s have been failing since %s: %s.', name,
      to_char(i.first_seen_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
      case i.verdict when 'ours' then 'we have a problem on our side' else postrider.cause_in_words(i.cause) end),
    case when i.verdict = 'theirs' and i.last_answer is not null then format('Last attempt: %s.', i.last_answer) end,
    case i.verdict when 'ours' then 'We are working on it. You do not need to do anything.'
      else postrider.cause_advice(i.cause) end,
    case
      when i.held = 0 then null
      when i.held = 1 then '1 delivery is on hold. ' || case i.endpoint_state
        when 'disabled' then 'Enable the endpoint again to have it sent.'
        else 'It is sent automatically once deliveries succeed again.' end
      when i.endpoint_state = 'disabled' then format('%s deliveries are on hold. Enable the endpoint again to have them sent.', i.held)
      else format('%s deliveries are on hold. They are sent automatically once deliveries succeed again.', i.held) end);
end
$$;
comment on function postrider.incident_message(uuid) is
  'What to tell the customer about an incident: since when, why, what to do, what is on hold.';

-- notify_customer: to the operator's own endpoints (incident.reported), from where it may become an e-mail, and to those
-- endpoints of the customer that name the type postrider.incident or postrider.*. `*` is not enough: a receiver of
-- orders does not expect it. Never to the endpoint that fails.
create or replace function postrider.notify_customer(
  incident uuid, message text default null, who text default session_user
) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  target postrider.incident := postrider.lock_incident(incident);
  told constant text := coalesce(nullif(trim(message), ''), postrider.incident_message(incident));
  data constant json := json_build_object('incidentId', target.id, 'endpointId', target.endpoint_id,
    'cause', target.cause, 'firstSeenAt', target.first_seen_at, 'message', told);
  endpoints int;
begin
  update postrider.incident i set notified_at = now(), notified_by = coalesce(who, session_user) where i.id = target.id;
  perform postrider.emit(target.tenant_id, 'incident.reported',
    (jsonb_build_object('tenant', t.key) || data::jsonb)::json)
  from postrider.tenant t where t.id = target.tenant_id;
  endpoints := postrider.report_to_tenant(target, data);
  perform postrider.audit_incident(who, 'notify_customer', target,
    jsonb_build_object('endpoints', endpoints, 'message', told));
  return told;
end
$$;
comment on function postrider.notify_customer(uuid, text, text) is
  'Notifies the customer about an incident, in these words or those of incident_message(): publishes the operational event incident.reported, and postrider.incident to the endpoints of the tenant that name this type. Returns the message, which can be copied too.';

create or replace function postrider.report_to_tenant(target postrider.incident, data json) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  listening postrider.endpoint;
  event uuid;
  endpoints int := 0;
begin
  for listening in
    select e.* from postrider.endpoint e
    where e.tenant_id = target.tenant_id and e.id <> target.endpoint_id and e.deleted_at is null
      and e.state <> 'disabled' and e.event_types && array['postrider.incident', 'postrider.*'] and e.channels is null
    order by e.id limit 100
  loop
    event := postrider.uuidv7();
    insert into postrider.event (id, tenant_id, type, data, occurred_at, only_endpoint_id)
    values (event, target.tenant_id, 'postrider.incident', data, clock_timestamp(), listening.id);
    perform postrider.open_deliveries(array[t.id], array[event], array[listening.id],
      array[postrider.held_for(listening, t, c, false)], array[now()])
    from postrider.tenant t
    left join postrider.circuit c on c.endpoint_id = listening.id
    where t.id = target.tenant_id;
    endpoints := endpoints + 1;
  end loop;
  return endpoints;
end
$$;
comment on function postrider.report_to_tenant(postrider.incident, json) is
  'Publishes postrider.incident to the endpoints of the tenant that name this type, except the one that fails; returns to how many.';
