-- Portal links: what a producer gives a customer, to look after their own endpoints.
--
-- What:  portal_link. A row is a link; what opens it is in no table.
-- Why:   an API key would do, but it opens the API as well, lasts, and is listed among the keys of programs. A
--        link opens the portal of its tenant and nothing else, and sessions that it opened refer to it by its hash
--        (session.key_hash): deleting the row ends the link and all of them at once.
-- Locks: share row exclusive on tenant for an instant (foreign key).
-- breaking: no

create table postrider.portal_link (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null references postrider.tenant (id) on delete cascade,
  token_hash bytea not null unique check (length(token_hash) = 32),
  access text not null check (access in ('read', 'manage')),
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
create index portal_link_tenant on postrider.portal_link (tenant_id);
create index portal_link_expiry on postrider.portal_link (expires_at);
comment on table postrider.portal_link is 'Links to the portal of a tenant. Deleting a row takes the link back and ends every session that it opened; rows that are over go when the next link is made.';
comment on column postrider.portal_link.id is 'UUIDv7; what the link is called in the audit log.';
comment on column postrider.portal_link.tenant_id is 'The one tenant whose data it shows.';
comment on column postrider.portal_link.token_hash is 'SHA-256 of what stands in the link. It is random and long, so no salt or slow hash is needed.';
comment on column postrider.portal_link.access is 'read = look; manage = look and act.';
comment on column postrider.portal_link.created_at is 'When it was made.';
comment on column postrider.portal_link.expires_at is 'When it ends by itself, and every session that it opened.';
