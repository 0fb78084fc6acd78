-- Tenants with more due than their share get a waiting room each (035_fairness.sql).
--
-- What:  tenant_backlog says which room, and when deliveries were last let in from it; no longer how many are due.
-- Why:   the surplus of a tenant is to be found by an index probe, and let in at a pace that others can bear.
-- Locks: ACCESS EXCLUSIVE on tenant_backlog, which is empty most of the time and may be emptied at any.
-- breaking: no

delete from postrider.tenant_backlog;
alter table postrider.tenant_backlog drop column due, drop column sampled_at;
alter table postrider.tenant_backlog
  add column room smallint not null,
  add column let_in_at timestamptz not null default now();
comment on table postrider.tenant_backlog is 'Tenants with more due deliveries than their share in the line. Most of the time it is empty.';
comment on column postrider.tenant_backlog.room is 'Where the rest of what they have due waits: jobs with the priority 10 + room.';
comment on column postrider.tenant_backlog.let_in_at is 'When deliveries were last let into the line from this room.';
