-- What a circuit remembers, so that only an endpoint that fails throughout a period is disabled.
--
-- What:  when the last failure was, of which deliveries, and what the receiver refused though it lives; when an
--        endpoint was disabled.
-- Why:   the time of the first failure alone had two failures far apart disable an endpoint, and answers that are
--        about an event counted as if the host were down.
-- Locks: access exclusive on circuit and endpoint, for an instant; no table is rewritten.
-- breaking: no

alter table postrider.circuit
  alter column failing_since drop not null,
  add column failed_at timestamptz,
  add column failed_deliveries uuid[] not null default '{}',
  add column refusals int not null default 0,
  add column refusing_since timestamptz;
update postrider.circuit set failed_at = now();

comment on table postrider.circuit is
  'Endpoints that have failed, or have refused an event, since their last success. No row = the last attempt succeeded. Without opened_at deliveries go on; with it they are held, but for one probe at growing intervals.';
comment on column postrider.circuit.failures is
  'Failed attempts in a row; an answer that refuses an event ends the row, since the receiver lives.';
comment on column postrider.circuit.failing_since is
  'When the first failure ended that is not followed by a success or by a quarter of the period of disabling without a failure; null = there is none.';
comment on column postrider.circuit.failed_at is 'When the last failure ended.';
comment on column postrider.circuit.failed_deliveries is
  'Some of the deliveries that failed since failing_since: as many different ones as disabling takes.';
comment on column postrider.circuit.refusals is
  'Attempts since the last success that the receiver answered with a refusal of the event, such as 400.';
comment on column postrider.circuit.refusing_since is 'When the first of them ended; null = there is none.';

alter table postrider.endpoint add column disabled_at timestamptz;
comment on column postrider.endpoint.disabled_at is
  'Since when it is disabled: what was published from then on has no delivery to it. Null while it is not.';
