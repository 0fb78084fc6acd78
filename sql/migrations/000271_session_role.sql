-- The audit log says which role was logged in, whatever the caller says of itself.
--
-- What:  audit_log.session_role, filled by Postgres.
-- Why:   `who` is what the caller says; a member of postrider_operator could write anybody's name there.
-- Locks: ACCESS EXCLUSIVE on audit_log for an instant; the default is not written to the rows that are there.
-- breaking: no

alter table postrider.audit_log add column session_role text;
alter table postrider.audit_log alter column session_role set default session_user;
comment on column postrider.audit_log.session_role is 'Role that the session had logged in as; null for rows older than the column. Nobody can choose it.';
comment on column postrider.audit_log.who is 'By whom, as the caller said; without that, the role of the session.';
