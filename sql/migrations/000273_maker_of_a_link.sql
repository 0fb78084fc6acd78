-- A portal link ends with the API key that made it.
--
-- What:  portal_link.api_key_id.
-- Why:   a link outlived the expiry and the revocation of its key, so whoever had the key kept a way in.
-- Locks: ACCESS EXCLUSIVE on portal_link for an instant; SHARE ROW EXCLUSIVE on api_key likewise.
-- breaking: no

alter table postrider.portal_link
  add column api_key_id uuid references postrider.api_key (id) on delete cascade;
comment on column postrider.portal_link.api_key_id is 'The API key that made it: the link opens nothing once that is revoked or has expired, and allows nothing that the key does not. Null = the bootstrap admin key, or older than the column.';
