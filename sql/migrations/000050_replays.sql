-- Replays: deliver again, or for the first time, what an endpoint or a tenant chose.
--
-- What:  one row a replay: what it covers, how far it is.
-- Why:   a replay of a million deliveries goes on for hours; its place is kept here, so that a process that
--        was killed costs nothing but the batch it was at.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.replay (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null,
  mode text not null check (mode in ('redeliver', 'missed')),
  endpoint_id uuid,
  event_types text[] not null default '{*}',
  states text[] not null default '{failed}' check (states <@ '{delivered,failed,cancelled}'),
  status_class int check (status_class between 2 and 5),
  since timestamptz not null,
  until timestamptz not null check (until > since),
  rate_per_second numeric not null check (rate_per_second > 0 and rate_per_second <= 1000),
  state text not null default 'running' check (state in ('running', 'done', 'cancelled')),
  total int not null,
  done int not null default 0,
  position uuid not null,
  recheck_from uuid not null,
  horizon xid8 not null,
  rechecking boolean not null default false,
  requested_by text not null,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  check (mode = 'redeliver' or endpoint_id is not null),
  check ((finished_at is not null) = (state <> 'running'))
);
create index replay_tenant on postrider.replay (tenant_id, id desc);
create index replay_running on postrider.replay (since) where finished_at is null;
comment on table postrider.replay is 'A replay: deliveries made again, or made for an endpoint that missed the events.';
comment on column postrider.replay.id is 'UUIDv7.';
comment on column postrider.replay.tenant_id is 'Whose deliveries.';
comment on column postrider.replay.mode is 'redeliver: finished deliveries are reopened. missed: events that match the endpoint and have no delivery to it get one.';
comment on column postrider.replay.endpoint_id is 'Only this endpoint; null = all of the tenant.';
comment on column postrider.replay.event_types is 'Only these: exact names, order.*, or *.';
comment on column postrider.replay.states is 'redeliver: only deliveries that ended so.';
comment on column postrider.replay.status_class is 'redeliver: only where the last answer was of this class, 2 to 5; null = any, or none.';
comment on column postrider.replay.since is 'Only what was made from then on.';
comment on column postrider.replay.until is 'Only what was made before.';
comment on column postrider.replay.rate_per_second is 'How many become due a second.';
comment on column postrider.replay.state is 'running, done, or cancelled by a person.';
comment on column postrider.replay.total is 'How many there were when it began.';
comment on column postrider.replay.done is 'How many it has made due so far.';
comment on column postrider.replay.position is 'It has dealt with everything up to this id (of the delivery, or the event).';
comment on column postrider.replay.recheck_from is 'Ids from here on may have been committed behind its back by transactions that were open when it began; it looks at them twice.';
comment on column postrider.replay.horizon is 'It ends when no transaction is left that is older than this.';
comment on column postrider.replay.rechecking is 'It has come to the end once and looks again from recheck_from.';
comment on column postrider.replay.requested_by is 'Who asked for it.';
comment on column postrider.replay.created_at is 'When it began.';
comment on column postrider.replay.finished_at is 'When it was done or cancelled; null = running.';
