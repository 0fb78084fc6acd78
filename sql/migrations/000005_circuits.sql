-- Circuit breakers, and the tenant that operational events belong to.
--
-- What:  one row for each endpoint that has failed since its last success.
-- Why:   apart from endpoint, so that failures rewrite a narrow row and healthy endpoints cost nothing.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.circuit (
  endpoint_id uuid primary key references postrider.endpoint (id) on delete cascade,
  tenant_id uuid not null,
  failures int not null,
  failing_since timestamptz not null default now(),
  opened_at timestamptz,
  probe_count int not null default 0,
  probe_at timestamptz,
  probe_delivery_id uuid
) with (fillfactor = 50);
comment on table postrider.circuit is
  'Endpoints that have failed since their last success. No row = the last attempt succeeded. Without opened_at deliveries go on; with it they are held, but for one probe at growing intervals.';
comment on column postrider.circuit.endpoint_id is 'The failing endpoint.';
comment on column postrider.circuit.tenant_id is 'Its owner.';
comment on column postrider.circuit.failures is 'Failed attempts in a row.';
comment on column postrider.circuit.failing_since is 'When the first of them ended.';
comment on column postrider.circuit.opened_at is 'Since when deliveries are held; null = the circuit is closed.';
comment on column postrider.circuit.probe_count is 'Probes that failed since it opened; the pause doubles with each.';
comment on column postrider.circuit.probe_at is 'When the next probe is due; null = closed, or a probe is under way.';
comment on column postrider.circuit.probe_delivery_id is 'The delivery that may be sent although the circuit is open.';

insert into postrider.tenant (key, name) values ('postrider:operator', 'Operator of this service');
