-- Which tenants have more due than their share.
--
-- What:  a sample, made anew every second, that publish reads to choose the priority of jobs.
-- Why:   jobs run in the order of their time, so one tenant's burst would stand in front of everybody.
--        A counter kept by publish would make producers wait for each other; a sample does not.
--        Unlogged: after a crash it is empty for a second.
-- Locks: none on existing tables.
-- breaking: no

create unlogged table postrider.tenant_backlog (
  tenant_id uuid primary key,
  due int not null,
  sampled_at timestamptz not null
);
comment on table postrider.tenant_backlog is 'Tenants with more due deliveries than their share, sampled every second. Most of the time it is empty.';
comment on column postrider.tenant_backlog.tenant_id is 'The tenant.';
comment on column postrider.tenant_backlog.due is 'Deliveries that have been due in the last ten minutes and were not claimed, as far as the sample reached.';
comment on column postrider.tenant_backlog.sampled_at is 'When they were counted.';
