-- Endpoints whose secret or client key no key of a runner opens.
--
-- What:  endpoint.unreadable_since and unreadable_detail, and an index on the few that have them.
-- Why:   each delivery of such an endpoint was claimed again every minute, without end. Now a runner marks the
--        endpoint, and its deliveries are held like those of one that is paused (052_held.sql).
-- Locks: access exclusive on endpoint, for an instant; the index is that of an empty set.
-- breaking: no

alter table postrider.endpoint add column unreadable_since timestamptz, add column unreadable_detail text;
comment on column postrider.endpoint.unreadable_since is
  'Since when its deliveries are held because a runner could open its secret or client key with none of its keys; null = they are not. Taken away by release_secrets(), and when the secret or the client key changes.';
comment on column postrider.endpoint.unreadable_detail is 'What that runner said, for operators.';
create index endpoint_unreadable on postrider.endpoint (id) where unreadable_since is not null;
