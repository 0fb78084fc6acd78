-- What belongs to an endpoint belongs to the endpoint's tenant, by constraint.
--
-- What:  foreign keys on (tenant_id, endpoint_id) instead of endpoint_id alone.
-- Why:   row-level security shows a tenant the rows with its tenant_id; a row that names its own tenant and another
--        tenant's endpoint would pass, and a secret added so would sign the other's requests.
-- Locks: SHARE ROW EXCLUSIVE on endpoint and the tables below while their rows are checked, which are few: one
--        index is built on endpoint, 1 s a million.
-- breaking: no

alter table postrider.endpoint add constraint endpoint_of_tenant unique (tenant_id, id);

alter table postrider.endpoint_secret
  drop constraint endpoint_secret_endpoint_id_fkey,
  add constraint endpoint_secret_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade;
alter table postrider.endpoint_subscription
  drop constraint endpoint_subscription_endpoint_id_fkey,
  add constraint endpoint_subscription_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade;
alter table postrider.circuit
  drop constraint circuit_endpoint_id_fkey,
  add constraint circuit_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade;
alter table postrider.replay
  add constraint replay_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id);
