-- How many replays run at once.
--
-- What:  a duty `replay`, whose row is locked while a replay is counted among those that run.
-- Why:   nothing bounded them: 39 ran at once for one key. Two that begin at the same moment must see each other.
-- Locks: none that anybody waits for.
-- breaking: no

insert into postrider.duty (name) values ('replay') on conflict do nothing;
comment on column postrider.duty.name is 'migrate, partitions, reconcile, retention, backlog, replay.';
