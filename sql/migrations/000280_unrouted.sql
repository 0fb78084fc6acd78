-- Endpoints whose filters are too dear to be asked while an event is published.
--
-- What:  postrider.unrouted, filled by publish and emptied by the runners.
-- Why:   one tenant's filters kept a producer's transaction, and everybody's publishing, for seconds.
-- Locks: SHARE ROW EXCLUSIVE on tenant for an instant, for the foreign key.
-- breaking: no

create table postrider.unrouted (
  tenant_id uuid not null references postrider.tenant on delete cascade,
  event_id uuid not null,
  endpoint_ids uuid[] not null,
  primary key (tenant_id, event_id)
);
comment on table postrider.unrouted is 'Events that some endpoints have yet to be asked about, because their filters were too dear for the transaction that published. Runners ask them in turn; most of the time it is empty.';
comment on column postrider.unrouted.tenant_id is 'Owner.';
comment on column postrider.unrouted.event_id is 'Which event.';
comment on column postrider.unrouted.endpoint_ids is 'Endpoints whose event types fit and whose filter was not asked yet, the next one first.';
