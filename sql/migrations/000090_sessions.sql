-- Sessions: who has signed in to a page of ours with an API key.
--
-- What:  session. A row is a cookie; the key itself is in no cookie.
-- Why:   a cookie can be taken back only if somebody remembers it. It refers to the key by its hash and not
--        by its id, because the bootstrap admin key has no row; a key that is revoked, expired or replaced is
--        refused wherever its hash is looked up, so its sessions end with it.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.session (
  id uuid primary key default postrider.uuidv7(),
  area text not null check (area in ('console', 'portal')),
  token_hash bytea not null unique check (length(token_hash) = 32),
  key_hash bytea not null check (length(key_hash) = 32),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index session_expiry on postrider.session (expires_at);
comment on table postrider.session is 'Browsers that have signed in with an API key. Deleting a row signs out; rows that are over go with the next sign-in.';
comment on column postrider.session.id is 'UUIDv7; what a session is called where it is shown.';
comment on column postrider.session.area is 'Pages that it opens: console (of operators) or portal (of one tenant).';
comment on column postrider.session.token_hash is 'SHA-256 of what is in the cookie.';
comment on column postrider.session.key_hash is 'SHA-256 of the API key that signed in, as in api_key.hash. The session is worth what that key is worth now.';
comment on column postrider.session.created_at is 'When it signed in.';
comment on column postrider.session.expires_at is 'When it ends by itself.';
