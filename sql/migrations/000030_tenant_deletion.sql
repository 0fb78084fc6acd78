-- Deleting a tenant, and API keys in the log of what people have done.
--
-- What:  tenant.deletion_*, and one more kind of target in audit_log.
-- Why:   a tenant may have millions of rows. They go a batch at a time, by a job that says in these columns how
--        far it is, so that it goes on after a crash.
-- Locks: ACCESS EXCLUSIVE on tenant and audit_log for a moment; audit_log is read once to check the constraint.
-- breaking: no

alter table postrider.tenant
  add column deletion_started_at timestamptz,
  add column deletion_horizon xid8,
  add column deletion_rows bigint not null default 0;
comment on column postrider.tenant.deletion_started_at is 'Since when it is being deleted with its data; null = it is not. Suspended since then as well.';
comment on column postrider.tenant.deletion_horizon is 'Older transactions may still publish for it: the last of its rows goes when they have ended. Null = not known yet.';
comment on column postrider.tenant.deletion_rows is 'Rows of it that have been deleted so far.';

alter table postrider.audit_log drop constraint audit_log_target_kind_check;
alter table postrider.audit_log add constraint audit_log_target_kind_check check (target_kind in
  ('service', 'tenant', 'api_key', 'endpoint', 'delivery', 'event', 'runner', 'replay'));
comment on column postrider.audit_log.target_kind is
  'What it was done to: service, tenant, api_key, endpoint, delivery, event, runner or replay.';
