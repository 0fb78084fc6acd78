-- Client certificates of endpoints, for receivers that ask who is calling (mTLS).
--
-- What:  two columns on endpoint.
-- Why:   on the endpoint and not in a table of their own: claim_many reads its row anyway, and null costs
--        nothing. The key is encrypted like the signing secrets; the certificate is public.
-- Locks: access exclusive on endpoint, for the catalogue only; no row is rewritten, and the check has
--        nothing to look at but nulls.
-- breaking: no

alter table postrider.endpoint
  add column client_certificate text,
  add column client_key_encrypted text,
  add constraint endpoint_client_certificate_with_key
    check ((client_certificate is null) = (client_key_encrypted is null));
comment on column postrider.endpoint.client_certificate is
  'Shown to https receivers that ask for one: PEM, the endpoint''s own certificate first, then those of the authorities between; null = none.';
comment on column postrider.endpoint.client_key_encrypted is
  'The private key of client_certificate (PKCS #8, PEM), encrypted as endpoint_secret.encrypted is; null = no certificate.';
