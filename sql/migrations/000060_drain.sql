-- A runner can be asked to stop from psql or the command line, wherever it runs.
--
-- What:  runner.drain_requested_at, which drain_runner() sets and the runner reads with its heartbeat.
-- Why:   a signal needs access to the machine; a column reaches whoever has a connection.
-- Locks: ACCESS EXCLUSIVE on runner for an instant; a heartbeat waits for it. No rewrite.
--        Runners of the previous release do not look at the column, and go on.
-- breaking: no

alter table postrider.runner add column drain_requested_at timestamptz;
comment on column postrider.runner.drain_requested_at is 'When somebody asked it to stop (drain_runner); null = nobody has.';
