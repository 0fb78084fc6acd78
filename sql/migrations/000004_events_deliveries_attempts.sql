-- Events, deliveries and attempts, range-partitioned by day on their UUIDv7 id.
--
-- What:  the three big tables, the idempotency keys, what waits for its filters, whose data is erased when, the lines of
--        ordering keys, and the batch that an endpoint fills.
-- Why:   a day is dropped as a whole instead of row by row. No default partition (it forbids detach concurrently) and no
--        foreign keys among the three (they block drops). Partitions are made by postrider.create_partitions().
--        Indexes by which children are found end with the id, because the bounds on it only leave partitions out: in
--        one without statistics a whole day was read for each parent (4.5 million rows instead of 7,500).
-- Locks: none on existing tables.
-- breaking: no

create table postrider.event (
  id uuid not null default postrider.uuidv7(),
  tenant_id uuid not null,
  type text not null,
  data json,
  idempotency_key text,
  occurred_at timestamptz not null,
  deliver_at timestamptz,
  created_at timestamptz not null default now(),
  only_endpoint_id uuid,
  traceparent text,
  tracestate text,
  ordering_key text,
  position bigint,
  channels text[],
  as_svix boolean,
  svix jsonb,
  primary key (id)
) partition by range (id);
create index event_tenant on postrider.event (tenant_id, id desc);
comment on table postrider.event is 'Something that happened, published once, immutable.';
comment on column postrider.event.id is 'UUIDv7; the webhook-id of every request about it.';
comment on column postrider.event.tenant_id is 'Whose event it is.';
comment on column postrider.event.type is 'Event type, a dotted name such as invoice.paid.';
comment on column postrider.event.data is 'The producer''s bytes. json, not jsonb, so that number precision and key order survive. Null = erased on request.';
comment on column postrider.event.idempotency_key is 'The producer''s key against double publishing; null when none was given.';
comment on column postrider.event.occurred_at is 'When it happened, said by the producer; the timestamp in the body. Publishing time when not said.';
comment on column postrider.event.deliver_at is 'Not delivered before then; null = at once.';
comment on column postrider.event.created_at is 'Start of the transaction that published it.';
comment on column postrider.event.only_endpoint_id is 'The one endpoint that a test event is for; null = routed by type and filter.';
comment on column postrider.event.traceparent is 'W3C trace context of the publish, as the producer or our own span gave it; null = none.';
comment on column postrider.event.tracestate is 'What belongs to it for the vendors of the tracing; kept to ourselves, never sent to receivers.';
comment on column postrider.event.ordering_key is 'What it is about, said by the producer, for endpoints that get events in order; null = it has no order.';
comment on column postrider.event.position is 'Its place among the events of its ordering key: larger than that of all whose publishing was committed before.';
comment on column postrider.event.channels is
  'Channels that it was published to: endpoints with channels get it only if they have one of them. Null = none: only endpoints without channels get it.';
comment on column postrider.event.as_svix is
  'Published through the Svix-compatible API: endpoints of the shape standard are sent it as those of the shape svix are. Null = it was not.';
comment on column postrider.event.svix is
  'What the Svix-compatible API was given and gives back and nothing else looks at, such as {"tags": [...]}; null = nothing.';

-- The checks compare with one constant each: a list in() is evaluated again by each statement that writes a row.
create table postrider.delivery (
  id uuid not null default postrider.uuidv7(),
  tenant_id uuid not null,
  event_id uuid not null,
  endpoint_id uuid not null,
  state text not null default 'pending'
    check (state = any ('{pending,delivering,delivered,failed,held,cancelled,collapsed}')),
  trigger text not null default 'schedule' check (trigger = any ('{schedule,manual,replay,test}')),
  attempt_count int not null default 0,
  due_attempt int not null default 1,
  schedule_step int not null default 0,
  abandoned_count int not null default 0,
  claim uuid,
  next_attempt_at timestamptz,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  put_off_until timestamptz,
  held_reason text check (held_reason = any ('{disabled,paused,suspended,secret,circuit,order}')),
  ordering_key text,
  position bigint,
  collapsed_by uuid,
  batch_id uuid,
  primary key (id),
  check ((finished_at is not null) = (state = any ('{delivered,failed,cancelled,collapsed}'))),
  check ((state = 'collapsed') = (collapsed_by is not null)),
  check ((state = 'held') = (held_reason is not null))
) partition by range (id);
create index delivery_event on postrider.delivery (event_id, endpoint_id, id);
create index delivery_tenant on postrider.delivery (tenant_id, id desc);
create index delivery_endpoint on postrider.delivery (endpoint_id, id desc);
create index delivery_open_endpoint on postrider.delivery (endpoint_id, id) where finished_at is null;
create index delivery_open_due on postrider.delivery (next_attempt_at) where finished_at is null;
create index delivery_held on postrider.delivery (endpoint_id, held_reason) where held_reason is not null;
comment on table postrider.delivery is 'One (event, endpoint) pair and its state.';
comment on column postrider.delivery.id is 'UUIDv7.';
comment on column postrider.delivery.tenant_id is 'Owner.';
comment on column postrider.delivery.event_id is 'What is delivered.';
comment on column postrider.delivery.endpoint_id is 'To whom.';
comment on column postrider.delivery.state is
  'pending (a job exists), held (no job exists: see held_reason), delivering (a runner has claimed it), delivered, failed (the schedule is used up), cancelled, collapsed (a newer event of its ordering key is sent instead). Every way from one to another: sql/functions/deliveries/delivery_state.sql.';
comment on column postrider.delivery.trigger is 'Reason of the next attempt: schedule, manual, replay, test.';
comment on column postrider.delivery.attempt_count is 'Attempts begun so far; continues counting when the delivery is reopened.';
comment on column postrider.delivery.due_attempt is
  'Number in the payload of the newest job of the delivery: 1, and one more with each job that is created for it. A job with another number is late and does nothing. Not the number of an attempt: jobs are also replaced without one.';
comment on column postrider.delivery.schedule_step is 'Failed attempts since the delivery was (re)opened: the position in the retry schedule.';
comment on column postrider.delivery.abandoned_count is 'Claims in a row that were cut off before they finished.';
comment on column postrider.delivery.claim is 'Id of the attempt in flight: the fence. Only its holder can finish.';
comment on column postrider.delivery.next_attempt_at is 'When the next attempt is due; null once finished. A limit of the endpoint can put it off beyond that: put_off_until.';
comment on column postrider.delivery.created_at is 'Start of the transaction that made it.';
comment on column postrider.delivery.finished_at is 'When it was delivered, failed, cancelled or collapsed; null = open.';
comment on column postrider.delivery.put_off_until is
  'Until when a limit of the endpoint has put it off, as far as that was after next_attempt_at; null = not since its newest job was created. Not indexed, so that putting off stays cheap.';
comment on column postrider.delivery.held_reason is
  'Why it is held: disabled, paused (its endpoint, or everything), suspended (its tenant), secret (no key opens it), circuit (its endpoint fails), order (an earlier event of its ordering key has not ended); null = it is not held.';
comment on column postrider.delivery.ordering_key is 'The ordering key of its event, where the endpoint orders by key or collapses; null = it is sent in no particular order.';
comment on column postrider.delivery.position is 'event.position, where it has an ordering key.';
comment on column postrider.delivery.collapsed_by is
  'The newer event of its ordering key that is sent instead, where it is collapsed; null = it is not. That one can be collapsed in turn.';
comment on column postrider.delivery.batch_id is
  'The batch that it is sent with, or that it waits in until that is full; kept through the retries of the batch. Null = none as yet, or its endpoint has no batches. Not indexed, so that claiming stays cheap: batch.delivery_ids.';

create table postrider.attempt (
  id uuid not null default postrider.uuidv7(),
  tenant_id uuid not null,
  delivery_id uuid not null,
  endpoint_id uuid not null,
  number int not null,
  trigger text not null,
  outcome text not null default 'started' check (outcome = any (
    '{started,delivered,rejected,unreachable,blocked,abandoned,stale,interrupted}')),
  status_code int,
  error text,
  duration_ms real,
  dns_ms real,
  connect_ms real,
  tls_ms real,
  first_byte_ms real,
  request_headers json,
  response_headers json,
  response_body text,
  runner text not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  reason text check (reason = any ('{
    status_3xx, status_4xx, status_5xx, status_other,
    timeout_dns, timeout_connect, timeout_tls, timeout_answer,
    dns_not_found, dns_failed,
    connection_refused, connection_unreachable, connection_closed, connection_failed,
    tls_certificate, tls_client_certificate, tls_protocol, tls_failed,
    bad_answer, unsendable, item_failed,
    proxy_refused, proxy_failed,
    blocked_address, blocked_name, blocked_url,
    erased, secret_unreadable, fault, runner_stopped, keepalive_closed, runner_lost
  }')),
  error_detail text,
  batch_id uuid,
  url text,
  primary key (id)
) partition by range (id);
create index attempt_delivery on postrider.attempt (delivery_id, id);
create index attempt_tenant on postrider.attempt (tenant_id, id desc);
comment on table postrider.attempt is 'One HTTP try of a delivery. Written before it is sent, finished once, never deleted by a retry.';
comment on column postrider.attempt.id is 'UUIDv7.';
comment on column postrider.attempt.tenant_id is 'Owner.';
comment on column postrider.attempt.delivery_id is 'Which delivery.';
comment on column postrider.attempt.endpoint_id is 'To whom.';
comment on column postrider.attempt.number is '1 for the first attempt of the delivery.';
comment on column postrider.attempt.trigger is 'Reason of the attempt: schedule, manual, replay, test.';
comment on column postrider.attempt.outcome is
  'started (claimed, perhaps on the wire), delivered (2xx), rejected (another status), unreachable (no status), blocked (never sent: the address or the URL is not allowed, or the data was erased), abandoned (its runner died), stale (finished after another had taken over), interrupted (cut off by a shutdown, or with a kept-alive connection that the receiver had closed; repeated at once).';
comment on column postrider.attempt.status_code is 'HTTP status of the response; null when there was none.';
comment on column postrider.attempt.error is
  'What went wrong in detail, in words for people; programs go by reason. Next to a status, also of 2xx, what was wrong with the response otherwise. Null where nothing was.';
comment on column postrider.attempt.error_detail is
  'More of it, for operators: the addresses that a name led to. Tenants are not shown it. Null where there is no more.';
comment on column postrider.attempt.duration_ms is 'From the start of the request to the end of the response, ms.';
comment on column postrider.attempt.dns_ms is 'Name lookup, ms; null on a reused connection.';
comment on column postrider.attempt.connect_ms is 'TCP connect, ms; null on a reused connection.';
comment on column postrider.attempt.tls_ms is 'TLS handshake, ms; null without TLS or on a reused connection.';
comment on column postrider.attempt.first_byte_ms is 'From the request sent to the first byte of the response, ms.';
comment on column postrider.attempt.request_headers is 'As sent; values of sensitive custom headers are masked.';
comment on column postrider.attempt.response_headers is 'As received.';
comment on column postrider.attempt.response_body is 'First 16 KiB of the response, as text; of the response to a batch an equal share of that for each attempt, 1 KiB at least.';
comment on column postrider.attempt.batch_id is
  'The batch that it was sent in: the webhook-id of the request, which all attempts with the same batch and time share. Null = it was sent alone.';
comment on column postrider.attempt.url is 'Where it was sent: the URL of the endpoint at that time. Null where nothing was sent.';
comment on column postrider.attempt.runner is 'Who made it: runner.id.';
comment on column postrider.attempt.started_at is 'When it was claimed.';
comment on column postrider.attempt.finished_at is 'When its outcome was written; null while started.';
comment on column postrider.attempt.reason is
  'Why it did not deliver, for programs; null while started, when the response was 2xx, and of attempts from before this column. status_3xx, _4xx, _5xx, _other: the class of the response. timeout_dns, _connect, _tls, _answer: what it waited for when its time ended. dns_not_found, dns_failed: no address. connection_refused, _unreachable, _closed, _failed. tls_certificate (of the receiver), tls_client_certificate (ours), tls_protocol, tls_failed. bad_answer: not HTTP. unsendable: a URL or header that cannot be sent. item_failed: the receiver took the batch and named this event as failed. proxy_refused, proxy_failed: by the proxy of this service. blocked_address (in the URL, final), blocked_name (found by DNS, retried), blocked_url (unreadable, or its scheme; final). erased: no data to send. secret_unreadable, fault: not sent for a reason of this service. runner_stopped, keepalive_closed: repeated at once. runner_lost: abandoned.';

create table postrider.idempotency (
  tenant_id uuid not null,
  key text not null,
  event_id uuid not null,
  request_hash bytea not null,
  expires_at timestamptz not null,
  primary key (tenant_id, key)
);
create index idempotency_expiry on postrider.idempotency (expires_at);
comment on table postrider.idempotency is 'Idempotency keys of the last 7 days. A separate table because a unique index cannot span partitions.';
comment on column postrider.idempotency.tenant_id is 'Whose key.';
comment on column postrider.idempotency.key is 'As given by the producer.';
comment on column postrider.idempotency.event_id is 'The event that the first publish with this key stored.';
comment on column postrider.idempotency.request_hash is 'SHA-256 over type, data and times, to tell a repeat from an error.';
comment on column postrider.idempotency.expires_at is 'From then on the key can be used again.';

create table postrider.unrouted (
  tenant_id uuid not null references postrider.tenant on delete cascade,
  event_id uuid not null,
  endpoint_ids uuid[] not null,
  primary key (tenant_id, event_id)
);
comment on table postrider.unrouted is
  'Events that some endpoints have yet to be asked about, because their filters were too costly for the transaction that published. Runners ask them in turn; most of the time it is empty.';
comment on column postrider.unrouted.tenant_id is 'Owner.';
comment on column postrider.unrouted.event_id is 'Which event.';
comment on column postrider.unrouted.endpoint_ids is 'Endpoints whose event types fit and whose filter was not asked yet, the next one first.';

-- Apart from event, so that an event that is kept as long as others pays nothing for it.
create table postrider.event_erasure (
  event_id uuid primary key,
  tenant_id uuid not null references postrider.tenant on delete cascade,
  erase_at timestamptz not null
);
create index event_erasure_due on postrider.event_erasure (erase_at);
create index event_erasure_tenant on postrider.event_erasure (tenant_id);
comment on table postrider.event_erasure is
  'Events whose data is erased before their day is dropped, as their producer said. A row goes when that is done.';
comment on column postrider.event_erasure.event_id is 'Which event.';
comment on column postrider.event_erasure.tenant_id is 'Owner.';
comment on column postrider.event_erasure.erase_at is 'When its data is erased, as erase_event() does it.';

-- Lines: the order of deliveries by key (sql/functions/deliveries/lines.sql). Without foreign keys: each row would lock
-- the row of its endpoint. They hold open work only, so a probe for the next in a line reads no partition.
create sequence postrider.event_position;
comment on sequence postrider.event_position is
  'event.position. Taken while the ordering key is locked until the commit, so that the order of numbers is that of commits.';

create sequence postrider.collapsed_number;
comment on sequence postrider.collapsed_number is
  'How many deliveries have been collapsed, for metrics: a count that nobody waits for. A transaction that is rolled back leaves its own in it, and a crash of the server up to 32 more.';

create table postrider.ordering_lock (
  tenant_id uuid not null references postrider.tenant on delete cascade,
  ordering_key text not null,
  used_on date not null default current_date,
  primary key (tenant_id, ordering_key)
);
create index ordering_lock_used on postrider.ordering_lock (used_on);
comment on table postrider.ordering_lock is
  'A row a key, locked by each transaction that publishes with the key until it ends, so that producers of one key commit in turn. Rows of keys that are not used any more are removed.';
comment on column postrider.ordering_lock.tenant_id is 'Whose key.';
comment on column postrider.ordering_lock.ordering_key is 'As given by the producer.';
comment on column postrider.ordering_lock.used_on is 'Day on which it was last published with. A day and not a time, so that most uses write nothing.';

create table postrider.ordering_line (
  tenant_id uuid not null,
  ordering_key text not null,
  endpoint_id uuid not null,
  delivery_id uuid,
  position bigint not null,
  search_from bigint not null,
  blocked_at timestamptz,
  moved_at timestamptz not null default now(),
  primary key (tenant_id, ordering_key, endpoint_id)
) with (fillfactor = 70);
create index ordering_line_blocked on postrider.ordering_line (endpoint_id, blocked_at) where blocked_at is not null;
comment on table postrider.ordering_line is
  'Ordering keys with open work, a row an endpoint: which delivery has its turn. The others wait in ordering_place. No row = nothing of this key is open there.';
comment on column postrider.ordering_line.tenant_id is 'Owner.';
comment on column postrider.ordering_line.ordering_key is 'The key.';
comment on column postrider.ordering_line.endpoint_id is 'To whom.';
comment on column postrider.ordering_line.delivery_id is 'The delivery that has its turn: the only one of the key that can be sent. Null = nobody has it at this moment.';
comment on column postrider.ordering_line.position is 'Its position.';
comment on column postrider.ordering_line.search_from is 'Nobody in ordering_place has a smaller position. Spares a probe the places of the ones that have left.';
comment on column postrider.ordering_line.blocked_at is 'Since when the delivery that has its turn is failed and the others wait for a person; null = they do not.';
comment on column postrider.ordering_line.moved_at is 'When the delivery got its turn.';

create table postrider.ordering_place (
  endpoint_id uuid not null,
  ordering_key text not null,
  position bigint not null,
  tenant_id uuid not null,
  delivery_id uuid not null,
  due_at timestamptz,
  not_before timestamptz,
  primary key (endpoint_id, ordering_key, position)
);
comment on table postrider.ordering_place is
  'Deliveries that wait for an earlier one of their ordering key: held with reason order, or failed and passed by one that was sent again. Where the endpoint collapses, the newest of them is next.';
comment on column postrider.ordering_place.endpoint_id is 'To whom.';
comment on column postrider.ordering_place.ordering_key is 'The key.';
comment on column postrider.ordering_place.position is 'event.position: the smallest is next.';
comment on column postrider.ordering_place.tenant_id is 'Owner.';
comment on column postrider.ordering_place.delivery_id is 'The delivery that waits.';
comment on column postrider.ordering_place.due_at is 'Where the endpoint collapses, when it, or a newer one of its key, is to be sent; null = it is asked of the delivery.';
comment on column postrider.ordering_place.not_before is 'Where the endpoint collapses, until when it replaces no earlier one (event.deliver_at); null = it does at once.';

create table postrider.batch_room (
  endpoint_id uuid primary key,
  tenant_id uuid not null,
  batch_id uuid,
  events int not null default 0,
  bytes bigint not null default 0,
  due timestamptz,
  constraint batch_room_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade
) with (fillfactor = 50);
comment on table postrider.batch_room is
  'The batch that is being filled, a row an endpoint with batches. Locked by each runner that adds to it, or takes it, so that runners do so in turn.';
comment on column postrider.batch_room.endpoint_id is 'Whose batch.';
comment on column postrider.batch_room.tenant_id is 'Owner.';
comment on column postrider.batch_room.batch_id is 'Its id: delivery.batch_id of the ones that wait in it. Null = nobody does.';
comment on column postrider.batch_room.events is 'How many were added. Some can have been cancelled since.';
comment on column postrider.batch_room.bytes is 'How long their items in the body are together.';
comment on column postrider.batch_room.due is 'When it is sent at the latest: maxWaitMs after the first of them was due.';

create table postrider.batch (
  id uuid primary key,
  tenant_id uuid not null,
  endpoint_id uuid not null,
  delivery_ids uuid[] not null,
  constraint batch_endpoint_fkey
    foreign key (tenant_id, endpoint_id) references postrider.endpoint (tenant_id, id) on delete cascade
);
create index batch_endpoint on postrider.batch (endpoint_id);
comment on table postrider.batch is
  'Batches that have open deliveries: the ones that are being filled, wait for a limit, are being sent, or will be sent again.';
comment on column postrider.batch.id is 'UUIDv7; the webhook-id of its requests.';
comment on column postrider.batch.tenant_id is 'Owner.';
comment on column postrider.batch.endpoint_id is 'To whom.';
comment on column postrider.batch.delivery_ids is
  'Its deliveries. The ones that have left it since have another delivery.batch_id, or none.';
