-- What the service and the people who run it keep.
--
-- What:  runner, duty, timeline, service, audit_log, attempt_day, replay, incident, attachment, backfill and tenant_backlog, with the
--        rows that are always there.
-- Why:   the switch that stops all deliveries is a row and not a setting of the server, so that it is seen by every process
--        at once and survives failovers. Duties are row locks and not advisory ones, which any role that can connect
--        could hold. The place of a replay is in its row, so that a process that was killed costs nothing but the batch
--        it was at. tenant_backlog is a sample, because a counter kept by publish would make producers wait for each
--        other; unlogged, because after a crash it is empty for a second.
-- Locks: none on existing tables.
-- breaking: no

create table postrider.runner (
  id text primary key,
  host text not null,
  pid int not null,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  stopped_at timestamptz,
  reaped_at timestamptz,
  drain_requested_at timestamptz,
  session_pid int,
  session_role oid
);
comment on table postrider.runner is 'Processes that execute deliveries.';
comment on column postrider.runner.id is 'Id of its worker pool: locked_by of its jobs, runner of its attempts.';
comment on column postrider.runner.host is 'Host name.';
comment on column postrider.runner.pid is 'Process id on that host.';
comment on column postrider.runner.started_at is 'When it registered.';
comment on column postrider.runner.seen_at is 'Last heartbeat.';
comment on column postrider.runner.stopped_at is 'When it stopped in good order; null while it runs.';
comment on column postrider.runner.reaped_at is 'When it was found dead and its work reassigned; from then on it can claim and finish nothing.';
comment on column postrider.runner.drain_requested_at is 'When somebody asked it to stop (drain_runner); null = nobody has.';
comment on column postrider.runner.session_pid is 'Backend of the connection by which it is known to live; null before it has registered there.';
comment on column postrider.runner.session_role is 'Role that this connection logged in as: nobody else can open a session that counts for the runner.';

create table if not exists postrider.duty (name text primary key);
comment on table postrider.duty is 'What one process does at a time. The process that does it has its row locked until its transaction ends; `select` alone is not enough to lock one.';
comment on column postrider.duty.name is 'migrate, partitions, reconcile, retention, backlog, replay, incidents.';

create table postrider.timeline (
  system_identifier text not null,
  timeline int not null,
  since timestamptz not null default clock_timestamp(),
  is_synchronous boolean not null,
  seen_at timestamptz not null default clock_timestamp(),
  primary key (system_identifier, timeline)
);
comment on table postrider.timeline is 'Timelines of the server: a failover, or a restore to a point in time, ends one and begins the next.';
comment on column postrider.timeline.system_identifier is 'Of the cluster, the same for a primary and its standbys. A database that was dumped and restored elsewhere has rows of both.';
comment on column postrider.timeline.timeline is 'Number of the timeline.';
comment on column postrider.timeline.since is 'When a process of this service first saw it.';
comment on column postrider.timeline.is_synchronous is 'Whether commits waited for a standby when it was last seen.';
comment on column postrider.timeline.seen_at is 'When it was last seen, to ten seconds; of one that has ended, as far as the server that took over had heard.';

create table postrider.service (
  only_row boolean primary key default true check (only_row),
  paused_at timestamptz,
  paused_by text,
  environment text check (environment ~ '^[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}$'),
  identity text
);
comment on table postrider.service is 'Switches of the service as a whole, and which database this is; exactly one row.';
comment on column postrider.service.only_row is 'Always true, so that there is no second row.';
comment on column postrider.service.paused_at is 'Since when every delivery that falls due is held (pause_all); null = deliveries go out.';
comment on column postrider.service.paused_by is 'Who paused; null when it is not paused.';
comment on column postrider.service.environment is 'Name of the environment that it belongs to (POSTRIDER_ENVIRONMENT), set by `migrate` once and by adopt_copy(); null = none. Only processes with this name send.';
comment on column postrider.service.identity is 'What database_identity() said when it was migrated first, or adopted; where it says something else, this is a copy, and nothing is sent.';

create table postrider.audit_log (
  id uuid primary key default postrider.uuidv7(),
  at timestamptz not null default clock_timestamp(),
  who text not null,
  action text not null,
  target_kind text not null check (target_kind in
    ('service', 'tenant', 'api_key', 'endpoint', 'event_type', 'delivery', 'event', 'runner', 'replay', 'incident', 'table')),
  target_id text,
  tenant_id uuid,
  detail jsonb not null default '{}',
  session_role text default session_user
);
create index audit_log_target on postrider.audit_log (target_kind, target_id, id desc);
create index audit_log_tenant on postrider.audit_log (tenant_id, id desc) where tenant_id is not null;
-- By the id that Svix had given: a later import does not bring back what was deleted here.
create index audit_log_deleted_svix on postrider.audit_log ((detail->>'svixId'))
  where action = 'delete_tenant' and detail->>'svixId' is not null;
comment on table postrider.audit_log is 'What people and the service''s own repairs have done. Rows are only added; nothing here holds payloads or secrets.';
comment on column postrider.audit_log.id is 'UUIDv7; newest first by id desc.';
comment on column postrider.audit_log.at is 'When it was done.';
comment on column postrider.audit_log.who is 'By whom, as the caller said; without that, the role of the session.';
comment on column postrider.audit_log.action is 'Name of the function that did it, such as retry_now.';
comment on column postrider.audit_log.target_kind is 'What it was done to: service, tenant, api_key, endpoint, event_type, delivery, event, runner, replay, incident or table (of the producer, that publishes).';
comment on column postrider.audit_log.target_id is 'Its id; null for the service as a whole.';
comment on column postrider.audit_log.tenant_id is 'Whose it is; null where it concerns no single tenant. No foreign key: the log outlives the tenant.';
comment on column postrider.audit_log.detail is 'More that is worth knowing, such as the state before, or counts.';
comment on column postrider.audit_log.session_role is 'Role that the session had logged in as; null for rows older than the column. Nobody can choose it.';

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

create table postrider.replay (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null,
  mode text not null check (mode in ('redeliver', 'missed', 'retry', 'cancel', 'release')),
  endpoint_id uuid,
  event_types text[] not null default '{*}',
  states text[] not null default '{failed}' check (states <@ '{pending,delivering,held,delivered,failed,cancelled,collapsed}'),
  status_class int check (status_class between 2 and 5),
  since timestamptz not null,
  until timestamptz not null check (until > since),
  rate_per_second numeric not null check (rate_per_second > 0 and rate_per_second <= 1000),
  state text not null default 'running' check (state in ('running', 'done', 'cancelled')),
  total int not null,
  done int not null default 0,
  position uuid not null,
  recheck_from uuid not null,
  waits_for_xid xid8 not null,
  rechecking boolean not null default false,
  requested_by text not null,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  is_bulk boolean not null default false,
  delivery_ids uuid[] check (cardinality(delivery_ids) between 1 and 1000),
  event_id uuid,
  reason text,
  skipped int not null default 0,
  one_attempt boolean,
  check (mode <> 'missed' or endpoint_id is not null),
  check (is_bulk or mode in ('redeliver', 'missed')),
  check ((finished_at is not null) = (state <> 'running')),
  constraint replay_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id)
);
create index replay_tenant on postrider.replay (tenant_id, id desc);
create index replay_running on postrider.replay (since) where finished_at is null;
comment on table postrider.replay is
  'Replays (deliveries made again, or made for an endpoint that missed the events) and bulk jobs (what people do to many deliveries at once).';
comment on column postrider.replay.id is 'UUIDv7.';
comment on column postrider.replay.tenant_id is 'Whose deliveries.';
comment on column postrider.replay.mode is 'redeliver: finished deliveries are reopened. missed: events that match the endpoint and have no delivery to it get one. retry, cancel, release: of bulk jobs (start_bulk).';
comment on column postrider.replay.endpoint_id is 'Only this endpoint; null = all of the tenant.';
comment on column postrider.replay.event_types is 'Only these: exact names, order.*, or *.';
comment on column postrider.replay.states is 'Only deliveries in these states.';
comment on column postrider.replay.status_class is 'Only if the last response was of this class, 2 to 5; null = any, or none.';
comment on column postrider.replay.since is 'Only what was created since then.';
comment on column postrider.replay.until is 'Only what was created before.';
comment on column postrider.replay.rate_per_second is 'How many become due a second.';
comment on column postrider.replay.state is 'running, done, or cancelled by a person.';
comment on column postrider.replay.total is 'How many there were when it began.';
comment on column postrider.replay.done is 'How many it has made due so far.';
comment on column postrider.replay.position is 'It has dealt with everything up to this id (of the delivery, or the event).';
comment on column postrider.replay.recheck_from is 'Ids from here on can have been committed behind its back by transactions that were open when it began; it looks at them twice.';
comment on column postrider.replay.waits_for_xid is 'It ends when no transaction is left that is older than this.';
comment on column postrider.replay.rechecking is 'It has come to the end once and looks again from recheck_from.';
comment on column postrider.replay.requested_by is 'Who asked for it.';
comment on column postrider.replay.created_at is 'When it began.';
comment on column postrider.replay.finished_at is 'When it was done or cancelled; null = running.';
comment on column postrider.replay.is_bulk is 'Whether it is a bulk job: it looks at what was there when it began, once.';
comment on column postrider.replay.delivery_ids is 'Bulk: only these deliveries; null = all that match.';
comment on column postrider.replay.event_id is 'Bulk: only deliveries of this event; null = of any.';
comment on column postrider.replay.reason is 'Bulk: only where the last attempt has this reason, as in attempt.reason; null = any.';
comment on column postrider.replay.skipped is 'How many it has passed over, because they were in flight, their endpoint accepts no work, or their data is gone.';
comment on column postrider.replay.one_attempt is
  'Bulk jobs only: what has been tried is tried once more, and what had ended has no schedule again (start_recovery). Null = no.';

create table postrider.incident (
  id uuid primary key default postrider.uuidv7(),
  tenant_id uuid not null,
  endpoint_id uuid not null,
  cause text not null check (cause in (
    'server_error', 'unauthorized', 'not_found', 'client_error', 'other_status',
    'timeout', 'dns', 'tls', 'unreachable', 'blocked', 'ours')),
  verdict text not null default 'theirs' check (verdict in ('ours', 'theirs')),
  opened_at timestamptz not null default now(),
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  failures bigint not null,
  counted int not null,
  last_attempt_id uuid,
  reopened_count int not null default 0,
  closed_at timestamptz,
  closed_reason text check (closed_reason in ('recovered', 'quiet', 'deleted')),
  acknowledged_at timestamptz,
  acknowledged_by text,
  note text check (length(note) <= 4000),
  noted_by text,
  notified_at timestamptz,
  notified_by text,
  check ((closed_at is null) = (closed_reason is null)),
  constraint incident_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade
) with (fillfactor = 70);
create unique index incident_open on postrider.incident (endpoint_id, cause) where closed_at is null;
create index incident_closed on postrider.incident (closed_at) where closed_at is not null;
create index incident_tenant on postrider.incident (tenant_id, id desc);
comment on table postrider.incident is
  'Endpoints that keep failing, by cause. keep_incidents() opens and closes them; people acknowledge them and note what they know. Closed ones go after 90 days.';
comment on column postrider.incident.id is 'UUIDv7.';
comment on column postrider.incident.tenant_id is 'Owner of the endpoint.';
comment on column postrider.incident.endpoint_id is 'The failing endpoint.';
comment on column postrider.incident.cause is
  'server_error (5xx), unauthorized (401, 403), not_found (404, 410), client_error (another 4xx), other_status (redirects and the rest), timeout, dns, tls, unreachable (refused, no route, closed, not HTTP), blocked (the URL or its address is not allowed), ours (a proxy of this service, a secret that no key opens, a fault).';
comment on column postrider.incident.verdict is
  'Whose trouble it is likely to be. ours: by its cause; or a network cause (timeout, dns, tls, unreachable) that 3 tenants and 20 % of the active endpoints have at the same time, or that comes with a service_alarm(). theirs: the receiver''s.';
comment on column postrider.incident.opened_at is 'When it was opened, or opened again.';
comment on column postrider.incident.first_seen_at is 'When the first of its failures ended.';
comment on column postrider.incident.last_seen_at is 'When the last of its failures ended, as of the last look.';
comment on column postrider.incident.failures is 'Failed attempts with this cause, as of the last look.';
comment on column postrider.incident.counted is 'How many of them the circuit of the endpoint had counted at the last look.';
comment on column postrider.incident.last_attempt_id is 'The last failed attempt; null where nothing was sent. Retention can have removed it since.';
comment on column postrider.incident.reopened_count is 'How often it came back within 10 minutes of being closed. It then stays open for as many minutes after its last failure, 10 at most.';
comment on column postrider.incident.closed_at is 'When it was closed; null = open.';
comment on column postrider.incident.closed_reason is 'recovered (a success, or a person enabled the endpoint), quiet (no attempt for 2 days), deleted (the endpoint); null = open.';
comment on column postrider.incident.acknowledged_at is 'Since when somebody takes care of it; null = nobody does.';
comment on column postrider.incident.acknowledged_by is 'Who does.';
comment on column postrider.incident.note is 'What people know about it, for operators; null = nothing noted. Earlier versions are in the audit log.';
comment on column postrider.incident.noted_by is 'Who wrote the note.';
comment on column postrider.incident.notified_at is 'When the customer was notified (notify_customer); null = not yet.';
comment on column postrider.incident.notified_by is 'Who notified them.';

create table postrider.attachment (
  id uuid primary key,
  table_schema text not null,
  table_name text not null,
  type text not null,
  tenant text not null,
  data text,
  ordering_key text,
  "when" text,
  previous boolean not null,
  events text[] not null,
  columns text[] not null,
  owner text not null,
  attached_by text not null,
  attached_at timestamptz not null
);
comment on table postrider.attachment is
  'Tables that publish automatically (attach), as their triggers said when they were attached. A copy, to notice when the triggers are gone: postrider.attached_table compares.';
comment on column postrider.attachment.id is 'UUIDv7; the triggers and their function name it.';
comment on column postrider.attachment.table_schema is 'Schema of the table when it was attached.';
comment on column postrider.attachment.table_name is 'Name of the table when it was attached.';
comment on column postrider.attachment.type is 'Its events are type.created, type.updated and type.deleted.';
comment on column postrider.attachment.tenant is 'Column or expression: whose row it is.';
comment on column postrider.attachment.data is 'List of columns, a column or an expression: the data of the event; null = all columns.';
comment on column postrider.attachment.ordering_key is 'Column or expression: the ordering key of the event; null = none.';
comment on column postrider.attachment."when" is 'Column or expression: whether a change is published; null = an update whose data changed, and all the others.';
comment on column postrider.attachment.previous is 'Whether updates carry the old values of what changed.';
comment on column postrider.attachment.events is 'Which of created, updated and deleted are published.';
comment on column postrider.attachment.columns is 'Columns that the settings name, and those of the primary key; an empty name: all, in new or old as a whole.';
comment on column postrider.attachment.owner is 'Owner of the table when it was attached.';
comment on column postrider.attachment.attached_by is 'Role that attached it last.';
comment on column postrider.attachment.attached_at is 'When that was.';
alter table postrider.attachment enable row level security;
-- Producers read it as well. Roles that read all of it have a policy of theirs (migrate --roles).
create policy own_tables on postrider.attachment for select
  using (coalesce(pg_has_role(to_regrole(quote_ident(owner)), 'usage'), false));

create table postrider.backfill (
  id uuid primary key,
  attachment_id uuid not null,
  "table" text not null,
  owner text not null,
  "where" text,
  event text not null,
  rate_per_second numeric not null check (rate_per_second > 0),
  is_automatic boolean not null,
  state text not null check (state in ('running', 'done', 'cancelled')),
  total bigint not null,
  read bigint not null,
  published bigint not null,
  place json,
  batch_rows int not null,
  error text,
  requested_by text not null,
  created_at timestamptz not null,
  moved_at timestamptz,
  finished_at timestamptz,
  check ((finished_at is not null) = (state <> 'running'))
);
create unique index backfill_running on postrider.backfill (attachment_id) where finished_at is null;
comment on table postrider.backfill is
  'Backfills: attached tables whose rows are published that were there before. The place is in the row, so that a process that is killed costs the batch that it was at.';
comment on column postrider.backfill.id is 'UUIDv7.';
comment on column postrider.backfill.attachment_id is 'As what the table is attached.';
comment on column postrider.backfill."table" is 'The table, with its schema.';
comment on column postrider.backfill.owner is 'Its owner, who alone evaluates what its settings say.';
comment on column postrider.backfill."where" is 'Only these rows; null = all.';
comment on column postrider.backfill.event is 'Its events are type.event.';
comment on column postrider.backfill.rate_per_second is 'How many events it publishes a second, at most.';
comment on column postrider.backfill.is_automatic is 'Whether runners continue it: the table belongs to the owner of this schema.';
comment on column postrider.backfill.state is 'running, done, or cancelled by a person.';
comment on column postrider.backfill.total is 'Rows that there were when it began.';
comment on column postrider.backfill.read is 'Rows that it has read so far.';
comment on column postrider.backfill.published is 'Events that it has published so far.';
comment on column postrider.backfill.place is 'Primary key of the last row that it has read; null = at the beginning.';
comment on column postrider.backfill.batch_rows is 'How many rows it reads next: fewer after somebody held one of them.';
comment on column postrider.backfill.error is 'Why its last step failed; it is retried. Null = it did not.';
comment on column postrider.backfill.requested_by is 'Who began it.';
comment on column postrider.backfill.created_at is 'When it began.';
comment on column postrider.backfill.moved_at is 'When it last continued; null = not yet.';
comment on column postrider.backfill.finished_at is 'When it was done or cancelled; null = running.';
alter table postrider.backfill enable row level security;
create policy own_tables on postrider.backfill for select
  using (coalesce(pg_has_role(to_regrole(quote_ident(owner)), 'usage'), false));

create unlogged table postrider.tenant_backlog (
  tenant_id uuid primary key,
  room smallint not null,
  let_in_at timestamptz not null default now()
);
comment on table postrider.tenant_backlog is 'Tenants with more due deliveries than their share in the line. Most of the time it is empty.';
comment on column postrider.tenant_backlog.tenant_id is 'The tenant.';
comment on column postrider.tenant_backlog.room is 'Where the rest of what they have due waits: jobs with the priority 10 + room.';
comment on column postrider.tenant_backlog.let_in_at is 'When deliveries were last let into the line from this room.';

insert into postrider.duty (name)
values ('migrate'), ('partitions'), ('reconcile'), ('retention'), ('backlog'), ('replay'), ('incidents')
on conflict do nothing;
insert into postrider.service default values;
insert into postrider.tenant (key, name) values ('postrider:operator', 'Operator of this service');
