-- Locks that need rights on our tables.
--
-- What:  a row for each duty that one process does at a time (`postrider.duty`), and the session by which a
--        runner is known to live (`runner.session_pid`, `session_role`) instead of an advisory lock.
-- Why:   advisory locks are open to every role that can connect: with ours held by a stranger no runner
--        started, no dead one was found, and duties and `migrate` stood still.
-- Locks: ACCESS EXCLUSIVE on runner for an instant. Runners of the previous release do not start again
--        and are found dead, so stop them first.
-- breaking: yes

create table if not exists postrider.duty (name text primary key);
comment on table postrider.duty is 'What one process does at a time. Whoever does it has its row locked until its transaction ends; `select` alone is not enough to lock one.';
comment on column postrider.duty.name is 'migrate, partitions, reconcile, retention, backlog.';
insert into postrider.duty (name) values ('migrate'), ('partitions'), ('reconcile'), ('retention'), ('backlog')
on conflict do nothing;

drop view if exists postrider.runner_health;
alter table postrider.runner
  drop column lock_id,
  add column session_pid int,
  add column session_role oid;
comment on column postrider.runner.session_pid is 'Backend of the connection by which it is known to live; null before it has registered there.';
comment on column postrider.runner.session_role is 'Role that this connection logged in as: nobody else can open a session that counts for the runner.';
