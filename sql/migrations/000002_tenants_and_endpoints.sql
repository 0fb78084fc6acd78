-- Tenants, their API keys, endpoints and secrets.
--
-- What:  the small tables that people edit; the big ones follow in 000003.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.tenant (
  id uuid primary key default postrider.uuidv7(),
  key text not null unique check (key ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'),
  name text not null,
  created_at timestamptz not null default now(),
  suspended_at timestamptz
);
comment on table postrider.tenant is 'One customer of the producer; owns endpoints and sees only its own data.';
comment on column postrider.tenant.id is 'UUIDv7.';
comment on column postrider.tenant.key is 'The producer''s own id for the tenant; what publish() takes.';
comment on column postrider.tenant.name is 'Shown to people; the key when none was given.';
comment on column postrider.tenant.created_at is 'When the tenant was first put.';
comment on column postrider.tenant.suspended_at is 'Since when publishing is refused and deliveries are held; null = active.';

create table postrider.api_key (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid references postrider.tenant (id) on delete cascade,
  name text not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  scopes text[] not null check (scopes <@ '{publish,read,manage,admin}' and cardinality(scopes) > 0),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now()
);
create index api_key_tenant on postrider.api_key (tenant_id, id desc);
comment on table postrider.api_key is 'Bearer keys of the HTTP API. The key itself is shown once and never stored.';
comment on column postrider.api_key.id is 'UUIDv7.';
comment on column postrider.api_key.tenant_id is 'The one tenant this key may touch; null = every tenant.';
comment on column postrider.api_key.name is 'What the key is for, in the words of whoever made it.';
comment on column postrider.api_key.hash is 'SHA-256 of the key. Keys are random and long, so no salt or slow hash is needed.';
comment on column postrider.api_key.scopes is 'What it may do: publish, read, manage, admin.';
comment on column postrider.api_key.expires_at is 'Refused from then on; null = never.';
comment on column postrider.api_key.last_used_at is 'Last use, written at most once a minute.';
comment on column postrider.api_key.revoked_at is 'Refused since then; null = valid.';
comment on column postrider.api_key.created_at is 'When it was made.';

create table postrider.endpoint (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null references postrider.tenant (id) on delete cascade,
  url text not null check (length(url) <= 2048),
  description text not null default '' check (length(description) <= 1000),
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
  deleted_at timestamptz
);
create index endpoint_tenant on postrider.endpoint (tenant_id, id desc) where deleted_at is null;
comment on table postrider.endpoint is 'A URL of a tenant that wants events.';
comment on column postrider.endpoint.id is 'UUIDv7.';
comment on column postrider.endpoint.tenant_id is 'Owner.';
comment on column postrider.endpoint.url is 'Where deliveries are POSTed.';
comment on column postrider.endpoint.description is 'For people.';
comment on column postrider.endpoint.event_types is 'Which events: exact names, prefix patterns such as order.*, or *.';
comment on column postrider.endpoint.filter is 'SQL/JSON path predicate on the data, e.g. $.amount > 100; null = all. Evaluated inside publish.';
comment on column postrider.endpoint.headers is 'Extra request headers, {"name": "value"}.';
comment on column postrider.endpoint.state is 'active; paused (by a person: deliveries are held); disabled (by the service or a person: open deliveries are held, new events do not match).';
comment on column postrider.endpoint.disabled_reason is 'Why it is disabled, in words; null otherwise.';
comment on column postrider.endpoint.rate_per_second is 'Requests per second over all runners; null = no limit.';
comment on column postrider.endpoint.max_in_flight is 'Requests in flight over all runners; null = no limit of its own.';
comment on column postrider.endpoint.timeout_seconds is 'Seconds for one attempt; null = DELIVERY_TIMEOUT_SECONDS.';
comment on column postrider.endpoint.retry_schedule is 'Seconds before the 2nd, 3rd, ... attempt; null = RETRY_SCHEDULE.';
comment on column postrider.endpoint.metadata is 'The producer''s own notes, {"name": "value"}.';
comment on column postrider.endpoint.created_at is 'When it was made.';
comment on column postrider.endpoint.updated_at is 'When a person last changed it.';
comment on column postrider.endpoint.deleted_at is 'Deleted endpoints stay, without secrets, for the audit log; null = not deleted.';

create table postrider.endpoint_subscription (
  tenant_id uuid not null,
  pattern text not null,
  endpoint_id uuid not null references postrider.endpoint (id) on delete cascade,
  primary key (tenant_id, pattern, endpoint_id)
);
create index endpoint_subscription_endpoint on postrider.endpoint_subscription (endpoint_id);
comment on table postrider.endpoint_subscription is
  'endpoint.event_types as one row a pattern, so that publish finds the endpoints of an event by index probes however many endpoints a tenant has. Kept by a trigger on endpoint.';
comment on column postrider.endpoint_subscription.tenant_id is 'Owner of the endpoint.';
comment on column postrider.endpoint_subscription.pattern is 'One element of endpoint.event_types.';
comment on column postrider.endpoint_subscription.endpoint_id is 'The endpoint. Only those that are not deleted have rows.';

create table postrider.endpoint_secret (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null,
  endpoint_id uuid not null references postrider.endpoint (id) on delete cascade,
  encrypted text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz
);
create index endpoint_secret_endpoint on postrider.endpoint_secret (endpoint_id, created_at desc);
comment on table postrider.endpoint_secret is 'Signing secrets. During a rotation an endpoint has several, and every live one signs.';
comment on column postrider.endpoint_secret.id is 'UUIDv7.';
comment on column postrider.endpoint_secret.tenant_id is 'Owner of the endpoint.';
comment on column postrider.endpoint_secret.endpoint_id is 'Whose requests it signs.';
comment on column postrider.endpoint_secret.encrypted is 'The secret, AES-256-GCM under SECRET_ENCRYPTION_KEY: v1.<key id>.<nonce>.<ciphertext and tag>, base64url.';
comment on column postrider.endpoint_secret.created_at is 'When it was made.';
comment on column postrider.endpoint_secret.expires_at is 'End of its overlap after a rotation; null = current.';
