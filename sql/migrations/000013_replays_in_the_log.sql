-- Replays are written down in audit_log, and their task is registered like the others (000012).
--
-- Locks: ACCESS EXCLUSIVE on audit_log while its rows are checked, which are few.
-- breaking: no

alter table postrider.audit_log drop constraint audit_log_target_kind_check;
alter table postrider.audit_log add constraint audit_log_target_kind_check
  check (target_kind in ('service', 'tenant', 'endpoint', 'delivery', 'event', 'runner', 'replay'));
comment on column postrider.audit_log.target_kind is 'What it was done to: service, tenant, endpoint, delivery, event, runner or replay.';

select graphile_worker.add_job('replay', job_key => 'register:replay', run_at => 'infinity');
select graphile_worker.remove_job('register:replay');
