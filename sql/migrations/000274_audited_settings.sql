-- Changes of event types are written down in the audit log, like those of endpoints and tenants.
--
-- What:  one more kind of target in audit_log.
-- Why:   a change of settings left no row; sql/functions/145_audit_settings.sql writes one for each.
-- Locks: ACCESS EXCLUSIVE on audit_log for a moment; it is read once to check the constraint.
-- breaking: no

alter table postrider.audit_log drop constraint audit_log_target_kind_check;
alter table postrider.audit_log add constraint audit_log_target_kind_check check (target_kind in
  ('service', 'tenant', 'api_key', 'endpoint', 'event_type', 'delivery', 'event', 'runner', 'replay'));
comment on column postrider.audit_log.target_kind is
  'What it was done to: service, tenant, api_key, endpoint, event_type, delivery, event, runner or replay.';
