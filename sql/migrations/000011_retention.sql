-- Retention and erasure.
--
-- What:  attempt_day, tenant.retention_days, and event.data may be null.
-- Why:   days are dropped whole, so their counts are kept apart; an event whose payload was erased stays,
--        so that the audit log has something to refer to.
-- Locks: ACCESS EXCLUSIVE on tenant, event and its partitions for a moment; nothing is rewritten.
-- breaking: no

create table postrider.attempt_day (
  day date not null,
  tenant_id uuid not null,
  endpoint_id uuid not null,
  outcome text not null,
  attempts bigint not null,
  primary key (day, tenant_id, endpoint_id, outcome)
);
create index attempt_day_tenant on postrider.attempt_day (tenant_id, day);
comment on table postrider.attempt_day is 'Counts of attempts that retention has removed, kept for good. Days that are still there are not in it.';
comment on column postrider.attempt_day.day is 'Day (UTC) on which they began.';
comment on column postrider.attempt_day.tenant_id is 'Owner. No foreign key: the counts outlive the tenant.';
comment on column postrider.attempt_day.endpoint_id is 'To whom.';
comment on column postrider.attempt_day.outcome is 'As in attempt.outcome.';
comment on column postrider.attempt_day.attempts is 'How many.';

alter table postrider.tenant add column retention_days int check (retention_days between 1 and 3650);
comment on column postrider.tenant.retention_days is 'Days that its events, deliveries and attempts are kept; null = RETENTION_DAYS. A longer time than that keeps whole days for everybody and has the rows of others deleted one by one.';

alter table postrider.event alter column data drop not null;
comment on column postrider.event.data is 'The producer''s bytes. json, not jsonb, so that number precision and key order survive. Null = erased on request.';
