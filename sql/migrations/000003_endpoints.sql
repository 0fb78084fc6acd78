-- Endpoints, and what belongs to them.
--
-- What:  endpoint, endpoint_subscription, endpoint_secret, circuit, event_type and event_type_version.
-- Why:   what belongs to an endpoint names its tenant as well, in the foreign key: row-level security shows a tenant the
--        rows with its tenant_id, so a row with its own tenant and another one's endpoint must not exist. A circuit is
--        apart from its endpoint, so that failures rewrite a narrow row and healthy endpoints cost nothing. The client
--        certificate is on the endpoint, because claim_many reads its row anyway. No foreign key from event to
--        event_type: publishing in SQL takes any type. A filter is read when it is stored: one that is no jsonpath
--        would make every publish of its tenant fail.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.endpoint (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null references postrider.tenant (id) on delete cascade,
  url text not null check (length(url) <= 2048),
  description text not null default '' check (length(description) <= 1000),
  purpose text check (length(purpose) <= 200),
  event_types text[] not null default '{*}' check (cardinality(event_types) between 1 and 100),
  filter text check (length(filter) <= 1000),
  headers jsonb not null default '{}',
  state text not null default 'active' check (state in ('active', 'paused', 'disabled')),
  disabled_reason text,
  rate_per_second numeric check (rate_per_second > 0),
  max_in_flight int check (max_in_flight > 0),
  timeout_seconds int check (timeout_seconds between 1 and 60),
  retry_schedule int[] check (cardinality(retry_schedule) <= 50),
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz,
  client_certificate text,
  client_key_encrypted text,
  disabled_at timestamptz,
  unreadable_since timestamptz,
  unreadable_detail text,
  rate_version int not null default 0,
  secret_headers jsonb not null default '{}',
  ordering text not null default 'none' check (ordering in ('none', 'key')),
  on_failure text not null default 'block' check (on_failure in ('block', 'skip')),
  collapse_ms int check (collapse_ms between 0 and 86400000),
  batch_bounds jsonb check (
    coalesce((batch_bounds ->> 'maxEvents')::int between 1 and 1000 and (batch_bounds ->> 'maxWaitMs')::int >= 0
      and (batch_bounds ->> 'maxBytes')::int > 0, batch_bounds is null)),
  shape text not null default 'standard' check (shape in (
    'standard', 'raw', 'thin', 'fields', 'cloudevents', 'cloudevents-binary', 'slack', 'teams', 'discord', 'svix')),
  shape_fields text[] check (cardinality(shape_fields) between 1 and 50),
  shape_template text check (length(shape_template) <= 2000),
  signature_headers jsonb not null default '{}',
  webhook_signature text not null default 'send' check (webhook_signature in ('send', 'omit')),
  uid text check (uid ~ '^[A-Za-z0-9._-]+$' and length(uid) <= 256),
  channels text[] check (cardinality(channels) between 1 and 10),
  svix_id text check (length(svix_id) <= 256),
  svix jsonb check (jsonb_typeof(svix) = 'object'),
  constraint endpoint_client_certificate_with_key check ((client_certificate is null) = (client_key_encrypted is null)),
  constraint endpoint_filter_readable check (filter is null or filter::jsonpath is not null),
  constraint endpoint_of_tenant unique (tenant_id, id)
);
create index endpoint_tenant on postrider.endpoint (tenant_id, id desc) where deleted_at is null;
create unique index endpoint_uid on postrider.endpoint (tenant_id, uid) where uid is not null and deleted_at is null;
create unique index endpoint_svix_id on postrider.endpoint (tenant_id, svix_id) where svix_id is not null and deleted_at is null;
create index endpoint_unreadable on postrider.endpoint (id) where unreadable_since is not null;
comment on table postrider.endpoint is 'A URL of a tenant that gets events.';
comment on column postrider.endpoint.id is 'UUIDv7.';
comment on column postrider.endpoint.tenant_id is 'Owner.';
comment on column postrider.endpoint.url is 'Where deliveries are POSTed.';
comment on column postrider.endpoint.description is 'For people.';
comment on column postrider.endpoint.purpose is 'What it is for, in the words of its owner; null = not said.';
comment on column postrider.endpoint.event_types is 'Which events: exact names, prefix patterns such as order.*, or *.';
comment on column postrider.endpoint.filter is 'SQL/JSON path predicate on the data, e.g. $.amount > 100; null = all. Evaluated inside publish.';
comment on column postrider.endpoint.headers is 'Extra request headers, {"name": "value"}, except the ones that are secret.';
comment on column postrider.endpoint.secret_headers is
  'Extra request headers that are secret, {"name": "value"}; each value encrypted as endpoint_secret.encrypted is.';
comment on column postrider.endpoint.state is 'active; paused (by a person: deliveries are held); disabled (by the service or a person: open deliveries are held, new events do not match).';
comment on column postrider.endpoint.disabled_reason is 'Why it is disabled, in words; null otherwise.';
comment on column postrider.endpoint.rate_per_second is 'Requests per second over all runners; null = no limit.';
comment on column postrider.endpoint.max_in_flight is 'Requests in flight over all runners; null = no limit.';
comment on column postrider.endpoint.timeout_seconds is 'Seconds for one attempt; null = DELIVERY_TIMEOUT_SECONDS.';
comment on column postrider.endpoint.retry_schedule is 'Seconds before the 2nd, 3rd, ... attempt; null = RETRY_SCHEDULE.';
comment on column postrider.endpoint.metadata is 'The producer''s own notes, {"name": "value"}.';
comment on column postrider.endpoint.created_at is 'When it was created.';
comment on column postrider.endpoint.updated_at is 'When a person last changed it.';
comment on column postrider.endpoint.deleted_at is 'Deleted endpoints stay, without secrets, for the audit log; null = not deleted.';
comment on column postrider.endpoint.client_certificate is 'Shown to https receivers that ask for one: PEM, the endpoint''s own certificate first, then those of the authorities between; null = none.';
comment on column postrider.endpoint.client_key_encrypted is 'The private key of client_certificate (PKCS #8, PEM), encrypted as endpoint_secret.encrypted is; null = no certificate.';
comment on column postrider.endpoint.disabled_at is 'Since when it is disabled: what was published from then on has no delivery to it. Null while it is not.';
comment on column postrider.endpoint.unreadable_since is
  'Since when its deliveries are held because a runner could open its secret, client key or secret headers with none of its keys; null = they are not. Taken away by release_secrets(), and when one of them changes.';
comment on column postrider.endpoint.unreadable_detail is 'What that runner said, for operators.';
comment on column postrider.endpoint.rate_version is 'Counts the changes of rate_per_second, by trigger; slots that were reserved under another number are void.';
comment on column postrider.endpoint.ordering is
  'none; key: events with the same ordering key are sent one after another, in the order in which they were published. Set to none, it has what waits sent as it comes.';
comment on column postrider.endpoint.shape is
  'What it is sent of an event (sql/functions/endpoints/shapes.sql): standard, raw (the data alone), thin (a link to the rest), fields, cloudevents, cloudevents-binary, a message for slack, teams or discord, or svix (the data alone, with the headers that Svix sends).';
comment on column postrider.endpoint.shape_fields is
  'With the shape fields, paths of the members of the data that are sent, such as $.customer.id; null = none are named.';
comment on column postrider.endpoint.shape_template is
  'With the shapes slack, teams and discord, the text, such as {{type}}: {{data.amount}}; null = {{type}} {{data}}.';
comment on column postrider.endpoint.signature_headers is
  'Headers in the form of other schemes, {"name": "template"}, such as {"X-Hub-Signature-256": "sha256={hmac_hex} over {body}"}.';
comment on column postrider.endpoint.webhook_signature is
  'send: requests have webhook-signature; omit: only signature_headers instead.';
comment on column postrider.endpoint.uid is
  'The producer''s own id for it, as Svix SDKs know it; unique among the endpoints of a tenant that are not deleted. Null = none.';
comment on column postrider.endpoint.channels is
  'It gets only events that were published to one of these channels; null = whatever channels an event has, also none.';
comment on column postrider.endpoint.svix_id is
  'The id that a Svix server gave it, by which callers can still name it; null = it was not imported.';
comment on column postrider.endpoint.svix is
  'What the Svix-compatible API was given and gives back and nothing else looks at, such as {"version": 1}; null = it was not made there.';
comment on column postrider.endpoint.on_failure is
  'With ordering by key, what happens when an event has used up its schedule: block (its key waits for a person) or skip (the next event of its key is sent). With collapse_ms always skip.';

comment on column postrider.endpoint.collapse_ms is
  'Of the events with the same ordering key that wait only the newest is sent, so many milliseconds after the first of them at the latest; the others end as collapsed. Null = every event is sent.';
comment on column postrider.endpoint.batch_bounds is
  'Its events are sent together, {"maxEvents", "maxWaitMs", "maxBytes"}: a request goes out once any of these is reached (sql/functions/deliveries/batches.sql). Null = each event in a separate request.';

create table postrider.endpoint_subscription (
  tenant_id uuid not null,
  pattern text not null,
  endpoint_id uuid not null,
  primary key (tenant_id, pattern, endpoint_id),
  constraint endpoint_subscription_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade
);
create index endpoint_subscription_endpoint on postrider.endpoint_subscription (endpoint_id);
comment on table postrider.endpoint_subscription is
  'endpoint.event_types as one row a pattern, so that publish finds the endpoints of an event by index probes however many endpoints a tenant has. Kept by a trigger on endpoint.';
comment on column postrider.endpoint_subscription.tenant_id is 'Owner of the endpoint.';
comment on column postrider.endpoint_subscription.pattern is 'One element of endpoint.event_types.';
comment on column postrider.endpoint_subscription.endpoint_id is 'The endpoint. Only the ones that are not deleted have rows.';

create table postrider.endpoint_secret (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null,
  endpoint_id uuid not null,
  encrypted text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  constraint endpoint_secret_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade
);
create index endpoint_secret_endpoint on postrider.endpoint_secret (endpoint_id, created_at desc);
comment on table postrider.endpoint_secret is 'Signing secrets. During a rotation an endpoint has several, and every live one signs.';
comment on column postrider.endpoint_secret.id is 'UUIDv7.';
comment on column postrider.endpoint_secret.tenant_id is 'Owner of the endpoint.';
comment on column postrider.endpoint_secret.endpoint_id is 'Whose requests it signs.';
comment on column postrider.endpoint_secret.encrypted is 'The secret, AES-256-GCM under SECRET_ENCRYPTION_KEY: v1.<key id>.<nonce>.<ciphertext and tag>, base64url.';
comment on column postrider.endpoint_secret.created_at is 'When it was created.';
comment on column postrider.endpoint_secret.expires_at is 'End of its overlap after a rotation; null = current.';

create table postrider.circuit (
  endpoint_id uuid primary key,
  tenant_id uuid not null,
  failures int not null,
  failing_since timestamptz default now(),
  opened_at timestamptz,
  probe_count int not null default 0,
  probe_at timestamptz,
  probe_delivery_id uuid,
  failed_at timestamptz,
  failed_deliveries uuid[] not null default '{}',
  refusals int not null default 0,
  refusing_since timestamptz,
  causes jsonb not null default '{}',
  lasting_causes jsonb not null default '{}',
  constraint circuit_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade
) with (fillfactor = 50);
comment on table postrider.circuit is
  'Endpoints that have failed, or have refused an event, since their last success. No row = the last attempt succeeded. Without opened_at deliveries continue; with it they are held, except for one probe at growing intervals.';
comment on column postrider.circuit.endpoint_id is 'The failing endpoint.';
comment on column postrider.circuit.tenant_id is 'Its owner.';
comment on column postrider.circuit.failures is 'Failed attempts in a row; a response that refuses an event ends the row, since the receiver lives.';
comment on column postrider.circuit.failing_since is
  'When the first failure ended that is not followed by a success or by a quarter of the period of disabling without a failure; null = there is none.';
comment on column postrider.circuit.opened_at is 'Since when deliveries are held; null = the circuit is closed.';
comment on column postrider.circuit.probe_count is 'Probes that failed since it opened; the pause doubles with each.';
comment on column postrider.circuit.probe_at is 'When the next probe is due; null = closed, or a probe is in progress.';
comment on column postrider.circuit.probe_delivery_id is 'The delivery that can be sent although the circuit is open.';
comment on column postrider.circuit.failed_at is 'When the last failure ended.';
comment on column postrider.circuit.failed_deliveries is 'Some of the deliveries that failed since failing_since: as many different ones as disabling takes.';
comment on column postrider.circuit.refusals is 'Attempts since the last success in which the receiver refused the event, such as 400.';
comment on column postrider.circuit.refusing_since is 'When the first of them ended; null = there is none.';
comment on column postrider.circuit.causes is
  'Failures in a row by cause (incident_cause), with when the first and last of them ended and the last attempt: {"timeout": {"failures": 3, "since": ..., "at": ..., "attempt": ...}}. Any sign of life ends them.';
comment on column postrider.circuit.lasting_causes is 'The same of refused events, and of faults of this service: only a success ends them.';

create table postrider.event_type (
  name text primary key check (name ~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' and length(name) <= 128),
  description text not null default '' check (length(description) <= 1000),
  schema json check (json_typeof(schema) in ('object', 'boolean')),
  deprecated_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default clock_timestamp(),
  mask text[] not null default '{}' check (cardinality(mask) <= 50),
  archived_at timestamptz,
  svix_schemas json check (json_typeof(svix_schemas) = 'object'),
  group_name text check (length(group_name) <= 256)
);
comment on table postrider.event_type is 'Event types that are described; they belong to the producer, not to a tenant. Others can be published too, unless EVENT_TYPES_STRICT is set.';
comment on column postrider.event_type.name is 'A dotted name such as invoice.paid.';
comment on column postrider.event_type.description is 'For people.';
comment on column postrider.event_type.schema is 'JSON Schema 2020-12 of the data. HTTP publishing validates against it; publishing in SQL does not. Null = anything goes.';
comment on column postrider.event_type.deprecated_at is 'Since when new receivers should not rely on it; it is still published and delivered.';
comment on column postrider.event_type.mask is
  'Members of the data that the API and the console show as ***: paths such as customer.email, through arrays; * = all of it. Receivers get them.';
comment on column postrider.event_type.archived_at is
  'Since when lists leave it out and endpoints made through the Svix-compatible API cannot choose it; it is still published and delivered. Null = it is in use.';
comment on column postrider.event_type.svix_schemas is
  'Schemas by version, as the Svix-compatible API was given them and gives them back, {"1": {...}}; nothing is validated against them. Null = none.';
comment on column postrider.event_type.group_name is 'What it is listed under, as the Svix-compatible API was given it; null = nothing.';
comment on column postrider.event_type.created_at is 'When it was first described.';
comment on column postrider.event_type.updated_at is 'When it was last changed. API processes compare it with what they have in memory.';

create table postrider.event_type_version (
  name text references postrider.event_type (name) on delete cascade,
  version int check (version > 0),
  schema json,
  created_at timestamptz not null default now(),
  primary key (name, version)
);
comment on table postrider.event_type_version is
  'The schemas that an event type has had, for people who receive it. A trigger writes one when the schema changes; the newest 20 of a type stay.';
comment on column postrider.event_type_version.name is 'The event type.';
comment on column postrider.event_type_version.version is 'Counts up from 1; the highest is the schema of today.';
comment on column postrider.event_type_version.schema is 'JSON Schema 2020-12 of the data. Null = anything goes.';
comment on column postrider.event_type_version.created_at is 'Since when the type had it.';
