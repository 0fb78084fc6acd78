-- The row types that the functions of sql/functions/ pass among themselves.
--
-- What:  composite types; here and not with the functions, because changing one is a migration.
-- Locks: none on existing tables.
-- breaking: no

create type postrider.publish_item as (
  ordinal int, event_id uuid, tenant_id uuid, type text, data json, document jsonb,
  idempotency_key text, deliver_at timestamptz, occurred_at timestamptz, duplicate boolean, error text,
  ordering_key text, position bigint, channels text[], as_svix boolean, svix jsonb, erase_at timestamptz
);
comment on type postrider.publish_item is
  'One event on its way through publish_many: as given (occurred_at null = not said), with its tenant looked up, its data as jsonb for filters, and its error.';

create type postrider.claimed_delivery as (
  delivery_id uuid, attempt_id uuid, attempt_number int, schedule_step int, abandoned_count int,
  tenant_id uuid, endpoint_id uuid, event_id uuid, trigger text, woken_id uuid
);
comment on type postrider.claimed_delivery is
  'A delivery that claim_many has taken, with the id of its attempt, and the delivery that the job names: an earlier one of its ordering key, where the endpoint collapses.';

create type postrider.attempt_result as (
  delivery_id uuid, attempt_id uuid, outcome text, status_code int, error text, duration_ms real,
  dns_ms real, connect_ms real, tls_ms real, first_byte_ms real, request_headers json,
  response_headers json, response_body text, next_in_seconds float8, reason text,
  error_detail text, job_id bigint, overtaken boolean, batch_id uuid, halved boolean, uncounted boolean, url text
);
comment on type postrider.attempt_result is
  'What finish_many takes for each attempt: the columns of attempt, in how many seconds to try again (null = not at all), the job that the runner has for it (null = it completes that itself), whether it timed out although the endpoint answered what was sent later (null = no); the batch that it is retried in (null = none), whether that is half of one that was too large, and whether another attempt of the same request tells of the endpoint (null = no).';

create type postrider.settled_delivery as (
  id uuid, attempt_id uuid, tenant_id uuid, endpoint_id uuid, event_id uuid, state text, due_attempt int,
  next_attempt_at timestamptz, outcome text, status_code int, reason text, trigger text, overtaken boolean,
  ordering_key text, halved boolean, uncounted boolean
);
comment on type postrider.settled_delivery is 'A delivery that finish_many has settled, with its new state.';

create type postrider.incident_sign as (
  endpoint_id uuid, tenant_id uuid, cause text, failures int, since timestamptz, at timestamptz, attempt_id uuid,
  is_enough boolean
);
comment on type postrider.incident_sign is
  'Why an endpoint fails at the moment: failures with this cause, the first and last of them, the last attempt, and whether they are enough to open an incident.';

create type postrider.line_move as (
  tenant_id uuid, ordering_key text, endpoint_id uuid, verdict text, head_id uuid,
  next_id uuid, next_position bigint, held_reason text, due timestamptz, collapses boolean
);
comment on type postrider.line_move is
  'What becomes of a line: stays, blocks, moves (its head has ended) or yields (its head makes room for an earlier one); and who is next, what holds that one, when it is due, and whether the endpoint collapses.';
