-- Why attempts fail, in the few classes that people act on.
--
-- Where they are counted: in the row of the endpoint in `circuit`, which the finish of a failed attempt writes anyway.
-- So an attempt that is delivered costs nothing more, and one that failed a little more in the same statement: no further
-- lock, row or index. What is made of the counts, and told to people, is the work of a duty (incidents/keep_incidents.sql).

create or replace function postrider.incident_cause(status_code int, reason text) returns text
language sql immutable parallel safe
return case
  when reason in ('proxy_refused', 'proxy_failed', 'secret_unreadable', 'fault') then 'ours'
  when status_code between 500 and 599 then 'server_error'
  when status_code in (401, 403) then 'unauthorized'
  when status_code in (404, 410) then 'not_found'
  when status_code between 400 and 499 then 'client_error'
  when status_code is not null then 'other_status'
  when reason in ('timeout_dns', 'dns_not_found', 'dns_failed') then 'dns'
  when starts_with(reason, 'timeout_') then 'timeout'
  when starts_with(reason, 'tls_') then 'tls'
  when starts_with(reason, 'blocked_') or reason = 'unsendable' then 'blocked'
  else 'unreachable' end;
comment on function postrider.incident_cause(int, text) is
  'The cause of a failed attempt, by its status code and reason: a value of incident.cause.';

create or replace function postrider.network_causes() returns text[]
language sql immutable parallel safe
return array['timeout', 'dns', 'tls', 'unreachable'];
comment on function postrider.network_causes() is
  'The causes that the receiver, this service, or what is between them can be to blame for.';

create or replace function postrider.add_causes(counts jsonb, causes text[], attempts uuid[]) returns jsonb
language sql stable parallel safe
return counts || coalesce((
  select jsonb_object_agg(c.cause, jsonb_build_object(
    'failures', c.failures + coalesce((counts #>> array[c.cause, 'failures'])::int, 0),
    'since', coalesce(counts #> array[c.cause, 'since'], to_jsonb(now())), 'at', now(), 'attempt', c.attempt))
  from (
    select u.cause, count(*) as failures, max(u.attempt::text) as attempt
    from unnest(causes, attempts) as u (cause, attempt)
    group by u.cause
  ) as c), '{}');
comment on function postrider.add_causes(jsonb, text[], uuid[]) is
  'Counts of circuit.causes with these attempts (parallel arrays: cause, attempt) added.';

create or replace function postrider.cause_in_words(cause text) returns text
language sql immutable parallel safe
return case cause
  when 'server_error' then 'the receiver returns a server error (5xx)'
  when 'unauthorized' then 'the receiver rejects our requests as unauthorized (401 or 403)'
  when 'not_found' then 'the receiver returns 404 or 410: nothing accepts webhooks at this URL'
  when 'client_error' then 'the receiver rejects the request (4xx)'
  when 'other_status' then 'the receiver returns a redirect or an unexpected status'
  when 'timeout' then 'the receiver does not respond in time'
  when 'dns' then 'the host name cannot be resolved'
  when 'tls' then 'the TLS handshake fails'
  when 'unreachable' then 'no connection to the receiver'
  when 'blocked' then 'the URL points at an address that is not allowed'
  else 'a fault of this service' end;
comment on function postrider.cause_in_words(text) is 'What a cause of incident.cause means, for people.';

create or replace function postrider.cause_advice(cause text) returns text
language sql immutable parallel safe
return case cause
  when 'server_error' then 'Check the logs of your receiver for errors.'
  when 'unauthorized' then 'Check the signing secret and any credentials or firewall rules of your receiver.'
  when 'not_found' then 'Check that the URL of the endpoint is still correct.'
  when 'client_error' then 'Check why your receiver rejects the request; its response says more.'
  when 'other_status' then 'Point the endpoint at the final URL: redirects are not followed.'
  when 'timeout' then 'Respond with 2xx as soon as the webhook is stored, and process it afterwards.'
  when 'dns' then 'Check the DNS records of your host name.'
  when 'tls' then 'Check that your certificate is valid, complete and matches the host name.'
  when 'unreachable' then 'Check that your receiver is running and reachable from the internet.'
  when 'blocked' then 'Use a URL with a public address.'
  else 'You do not need to do anything.' end;
comment on function postrider.cause_advice(text) is 'What the owner of a receiver can do about a cause.';
