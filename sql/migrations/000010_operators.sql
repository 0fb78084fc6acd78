-- What operators do: the log of their actions, and the switch that stops all deliveries.
--
-- What:  audit_log, and service with its single row.
-- Why:   every function that acts on somebody's behalf leaves a row. The switch is a row and not a setting
--        of the server, so that it is seen by every process at once and survives restarts and fail-overs.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.audit_log (
  id uuid primary key default postrider.uuidv7(),
  at timestamptz not null default clock_timestamp(),
  who text not null,
  action text not null,
  target_kind text not null check (target_kind in ('service', 'tenant', 'endpoint', 'delivery', 'event', 'runner', 'replay')),
  target_id text,
  tenant_id uuid,
  detail jsonb not null default '{}'
);
create index audit_log_target on postrider.audit_log (target_kind, target_id, id desc);
create index audit_log_tenant on postrider.audit_log (tenant_id, id desc) where tenant_id is not null;
comment on table postrider.audit_log is 'What people and the service''s own repairs have done. Rows are only added; nothing here holds payloads or secrets.';
comment on column postrider.audit_log.id is 'UUIDv7; newest first by id desc.';
comment on column postrider.audit_log.at is 'When it was done.';
comment on column postrider.audit_log.who is 'By whom: as the caller said, else the database user of the session.';
comment on column postrider.audit_log.action is 'Name of the function that did it, such as retry_now.';
comment on column postrider.audit_log.target_kind is 'What it was done to: service, tenant, endpoint, delivery, event, runner or replay.';
comment on column postrider.audit_log.target_id is 'Its id; null for the service as a whole.';
comment on column postrider.audit_log.tenant_id is 'Whose it is; null where it concerns no single tenant. No foreign key: the log outlives the tenant.';
comment on column postrider.audit_log.detail is 'What else is worth knowing, such as the state before, or counts.';

create table postrider.service (
  only_row boolean primary key default true check (only_row),
  paused_at timestamptz,
  paused_by text
);
insert into postrider.service default values;
comment on table postrider.service is 'Switches of the service as a whole; exactly one row.';
comment on column postrider.service.only_row is 'Always true, so that there is no second row.';
comment on column postrider.service.paused_at is 'Since when every delivery that falls due is held (pause_all); null = deliveries go out.';
comment on column postrider.service.paused_by is 'Who paused; null when it is not paused.';
