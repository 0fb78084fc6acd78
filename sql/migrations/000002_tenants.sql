-- Tenants, and who may act for them.
--
-- What:  tenant, api_key, session, portal_link and svix_answer.
-- Why:   a session and what a link opened refer to their key by its hash and not by its id, because the bootstrap admin
--        key has no row; a key that is revoked, expired or replaced is refused wherever its hash is looked up, so its
--        sessions end with it. A link is no API key: it opens the portal of its tenant and nothing else.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.tenant (
  id uuid primary key default postrider.uuidv7(),
  key text not null unique check (key ~ '^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$'),
  name text not null,
  created_at timestamptz not null default now(),
  suspended_at timestamptz,
  retention_days int check (retention_days between 1 and 3650),
  deletion_started_at timestamptz,
  deletion_waits_for_xid xid8,
  deletion_rows bigint not null default 0,
  uid text check (uid ~ '^[A-Za-z0-9._-]+$' and length(uid) <= 256),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  updated_at timestamptz not null default now(),
  svix_id text check (length(svix_id) <= 256)
);
create unique index tenant_uid on postrider.tenant (uid) where uid is not null;
create unique index tenant_svix_id on postrider.tenant (svix_id) where svix_id is not null;
comment on table postrider.tenant is 'One customer of the producer; owns endpoints and sees only its own data.';
comment on column postrider.tenant.id is 'UUIDv7.';
comment on column postrider.tenant.key is 'The producer''s own id for the tenant; what publish() takes.';
comment on column postrider.tenant.name is 'Shown to people; the key when none was given.';
comment on column postrider.tenant.created_at is 'When the tenant was first put.';
comment on column postrider.tenant.suspended_at is 'Since when publishing is refused and deliveries are held; null = active.';
comment on column postrider.tenant.retention_days is
  'Days that its events, deliveries and attempts are kept; null = RETENTION_DAYS. A longer time than that keeps whole days for everybody and has the rows of others deleted one by one.';
comment on column postrider.tenant.deletion_started_at is 'Since when it is being deleted with its data; null = it is not. Also suspended since then.';
comment on column postrider.tenant.deletion_waits_for_xid is 'Older transactions can still publish for it: the last of its rows goes when they have ended. Null = not known yet.';
comment on column postrider.tenant.deletion_rows is 'Rows of it that have been deleted so far.';
comment on column postrider.tenant.uid is
  'The producer''s second id for it, which can be changed and taken away, as Svix SDKs know it; null = none. Free again as soon as the tenant is deleted.';
comment on column postrider.tenant.metadata is 'The producer''s own notes, {"name": "value"}.';
comment on column postrider.tenant.updated_at is 'When a person last changed it.';
comment on column postrider.tenant.svix_id is 'The id that a Svix server gave it, by which callers can still name it; null = it was not imported.';

create table postrider.api_key (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid references postrider.tenant (id) on delete cascade,
  name text not null,
  hash bytea not null unique check (octet_length(hash) = 32),
  scopes text[] not null check (scopes <@ '{publish,read,reveal,manage,admin}' and cardinality(scopes) > 0),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default now()
);
create index api_key_tenant on postrider.api_key (tenant_id, id desc);
comment on table postrider.api_key is 'Bearer keys of the HTTP API. The key itself is shown once and never stored.';
comment on column postrider.api_key.id is 'UUIDv7.';
comment on column postrider.api_key.tenant_id is 'The one tenant this key can touch; null = every tenant.';
comment on column postrider.api_key.name is 'What the key is for, in the words of the person who made it.';
comment on column postrider.api_key.hash is 'SHA-256 of the key. Keys are random and long, so no salt or slow hash is needed.';
comment on column postrider.api_key.scopes is 'What it can do: publish, read, reveal, manage, admin.';
comment on column postrider.api_key.expires_at is 'Refused from then on; null = never.';
comment on column postrider.api_key.last_used_at is 'Last use, written at most once a minute.';
comment on column postrider.api_key.revoked_at is 'Refused since then; null = valid.';
comment on column postrider.api_key.created_at is 'When it was created.';

create table postrider.portal_link (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null references postrider.tenant (id) on delete cascade,
  token_hash bytea not null unique check (length(token_hash) = 32),
  access text not null check (access in ('read', 'manage')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null,
  api_key_id uuid references postrider.api_key (id) on delete cascade,
  name text,
  accent text check (accent ~ '^#[0-9a-f]{6}$'),
  theme text check (theme in ('light', 'dark')),
  locale text check (locale in ('en', 'de')),
  back_url text check (back_url ~ '^https?://'),
  logo bytea check (length(logo) <= 65536),
  logo_url text check (logo_url ~ '^https://')
);
create index portal_link_tenant on postrider.portal_link (tenant_id);
create index portal_link_expiry on postrider.portal_link (expires_at);
comment on table postrider.portal_link is
  'Links to the portal of a tenant. Deleting a row takes the link back and ends every session that it opened; rows that have ended are removed when the next link is created.';
comment on column postrider.portal_link.id is 'UUIDv7; what the link is called in the audit log.';
comment on column postrider.portal_link.tenant_id is 'The one tenant whose data it shows.';
comment on column postrider.portal_link.token_hash is 'SHA-256 of what stands in the link. It is random and long, so no salt or slow hash is needed.';
comment on column postrider.portal_link.access is 'read = look; manage = look and act.';
comment on column postrider.portal_link.created_at is 'When it was created.';
comment on column postrider.portal_link.expires_at is 'When it ends automatically, and every session that it opened.';
comment on column postrider.portal_link.api_key_id is
  'The API key that made it: the link opens nothing once that is revoked or has expired, and allows nothing that the key does not. Null = the bootstrap admin key, or older than the column.';
comment on column postrider.portal_link.name is 'What its pages are called; null = Webhooks.';
comment on column postrider.portal_link.accent is 'Colour of buttons and links, #rrggbb; null = that of the service.';
comment on column postrider.portal_link.theme is 'light or dark; null = as the system of the customer.';
comment on column postrider.portal_link.locale is 'Language of its pages; null = that of the browser.';
comment on column postrider.portal_link.back_url is 'Where the customer came from; null = its pages have no link back.';
comment on column postrider.portal_link.logo is 'A PNG, JPEG, GIF or WebP image of up to 64 KiB; null = logo_url, otherwise that of the service.';
comment on column postrider.portal_link.logo_url is 'Where browsers load the logo from instead: the only address of another host that its pages can load anything from.';

create table postrider.session (
  id uuid primary key default postrider.uuidv7(),
  area text not null check (area in ('console', 'portal')),
  token_hash bytea not null unique check (length(token_hash) = 32),
  key_hash bytea not null check (length(key_hash) = 32),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index session_expiry on postrider.session (expires_at);
create index session_key on postrider.session (key_hash, id desc);
comment on table postrider.session is 'Browsers that have signed in with an API key. Deleting a row signs out; rows that have ended are removed with the next sign-in.';
comment on column postrider.session.id is 'UUIDv7; what a session is called where it is shown.';
comment on column postrider.session.area is 'Pages that it opens: console (of operators) or portal (of one tenant).';
comment on column postrider.session.token_hash is 'SHA-256 of what is in the cookie.';
comment on column postrider.session.key_hash is 'SHA-256 of the API key that signed in, as in api_key.hash. The session is worth what that key is worth now.';
comment on column postrider.session.created_at is 'When it signed in.';
comment on column postrider.session.expires_at is 'When it ends automatically.';

create table postrider.svix_answer (
  hash bytea primary key check (octet_length(hash) = 32),
  status int,
  body text,
  expires_at timestamptz not null
);
create index svix_answer_expiry on postrider.svix_answer (expires_at);
comment on table postrider.svix_answer is
  'Answers to requests of the Svix-compatible API that had an idempotency key, for 12 hours: a repeat of the request is given the same one.';
comment on column postrider.svix_answer.hash is 'SHA-256 over the API key, the idempotency key and the URL.';
comment on column postrider.svix_answer.status is 'HTTP status of the response; null = the first request is still being answered.';
comment on column postrider.svix_answer.body is 'Its body, JSON text; null = it has none, or is still being created.';
comment on column postrider.svix_answer.expires_at is 'From then on the key can be used again; the row is deleted.';
