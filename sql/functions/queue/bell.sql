-- The bell: how jobs wake runners, without NOTIFY where somebody is awake anyway.
--
-- A transaction that executed NOTIFY takes a lock of the whole server before it commits, and keeps it until its commit
-- is durable, with a synchronous standby until that has answered. Such commits go one after another: with 2 ms for
-- each, 375 a second are the most, however many producers there are. So who makes a job rings only when a runner asked
-- for it. It is a futex: three advisory locks, which cost microseconds and write no log.
--
--   bell      A runner that wants to be woken holds it (exclusive, of its session: the one it listens on).
--   quiet     A transaction that made jobs and rings nobody holds it, shared, until it has ended.
--   ringing   A transaction that rings holds it, exclusive, if nobody else does, until it has ended.
--
--   publisher (wake_runners)                     runner that falls asleep (set_bell, src/runner/bell.ts)
--     1. takes `quiet`, shared                     1. takes `bell`
--     2. is `bell` free? then that is all          2. is `quiet` free?
--        taken? it rings: NOTIFY at commit         3. looks for jobs; if `quiet` was taken, from 2 again
--
-- Nothing is overlooked.
--   Each writes its own lock first and reads the other's then, and locks are the same for all sessions at once, whatever
--   their isolation. So of a publisher and a runner that falls asleep one at least sees the other: the publisher the
--   bell, and it rings; or the runner somebody quiet, and it looks again until those who were are through. `quiet` is
--   released when the commit is visible (Postgres releases locks after it has left the list of running transactions),
--   so the look that comes after finds the jobs. Once the bell is taken nobody new keeps quiet, so those are few and
--   soon gone, whatever the load. One that stays open for long (a producer's own long transaction, or a prepared one)
--   is looked for after 4, 8, 16, ... ms, and by the poll of each second from then on: its jobs come late by no longer
--   than it took itself, and by a second at most.
--
--   Savepoints and rollbacks: a publish that is rolled back lets go of its locks, forgets its notification, and has
--   made no job. Several in one transaction each decide by themselves.
--
--   A runner that is awake does not hold the bell. It looks every few milliseconds, and goes on while at least every
--   second look finds something. Otherwise it falls asleep as above. So the bell is held in a quiet system, and what
--   is published there wakes a runner at once, as ever.
--
--   When it wakes for good: one wake-up at a time costs a publisher nothing, since nobody waits. A publisher that
--   finds another one ringing (`ringing` is taken) says so in its notification ("busy"). When most of the last few
--   say so, commits are queueing for the lock of NOTIFY, and the runner lets go of the bell.
--
-- Several runners. One of those that sleep holds the bell, and its notifications wake all. Those that are awake do not
-- change that; when its holder wakes for good, so do the others, who hear the same. One that stops hands the bell on
-- ("free" in a notification: one that sleeps takes it). One that crashes lets go of it with its session; the
-- others find out when they try again, within a second, and by their polls they find what was published until then.
--
-- A runner's session dies: with it go the bell and LISTEN, which are useless without each other. It takes both again.
-- A host that dies holds the bell until its session is found dead: publishers ring, which is never wrong.
--
-- Poolers: `quiet` and `ringing` belong to the transaction; `bell` is taken and released within one expression, in which
-- no session changes hands and no statement is cancelled. Runners need a separate session for LISTEN already.
--
-- Everybody who can connect may hold these locks and send notifications. Who holds `bell` or `quiet` exclusively, or
-- `ringing`, makes publishers ring or runners look, which is how it was without a bell. Who holds `bell` shared keeps
-- runners from taking it: they look 20 times a second then, and say so (runner.bell_not_set).
--
-- Two-phase commit: Postgres prepares no transaction that executed NOTIFY. One with `set local postrider.wake = 'off'`
-- rings never; its jobs are found by the runners' poll, within a second.

create or replace function postrider.bell_space() returns int
language sql immutable parallel safe
return 1886352244;
comment on function postrider.bell_space() is
  'The first number of our advisory locks ("post"). The second: 1 bell, 2 quiet, 3 ringing (queue/bell.sql).';

-- graphile-worker's add_jobs and add_job name pg_notify without a schema and set no search_path, so what makes jobs for a
-- publish (enqueue(), enqueue_advance(), enqueue_collapses()), in whose search_path this stands before Postgres' own, has
-- it called here. If a later version names the schema, or does without, commits notify again, and nothing else changes; a
-- test would say so.
create or replace function postrider.pg_notify(channel text, payload text) returns void
language plpgsql
as $$
begin
  null;
end
$$;
comment on function postrider.pg_notify(text, text) is
  'What add_jobs calls in place of Postgres'' pg_notify, where publish makes jobs: nothing. wake_runners() notifies, where it has to.';

-- Cost: three advisory locks, and a NOTIFY where a runner asked for it.
-- Without settings, which would cost as much again: names carry their schema, and enqueue() calls it.
create or replace function postrider.wake_runners() returns void
language plpgsql
as $$
declare
  -- Their numbers, written out: a call would cost as much as a lock.
  is_quiet constant boolean := pg_catalog.pg_try_advisory_xact_lock_shared(1886352244, 2);
  -- In one expression: see above.
  is_free constant boolean := case when pg_catalog.pg_try_advisory_lock_shared(1886352244, 1)
    then pg_catalog.pg_advisory_unlock_shared(1886352244, 1) else false end;
begin
  if not (is_quiet and is_free)
    and pg_catalog.current_setting('postrider.wake', true) is distinct from 'off' then
    perform pg_catalog.pg_notify('jobs:insert',
      case when pg_catalog.pg_try_advisory_xact_lock(1886352244, 3)
        then '{"count":1}' else '{"count":1,"bell":"busy"}' end);
  end if;
end
$$;
comment on function postrider.wake_runners() is
  'For a transaction that has made jobs which are due: rings (NOTIFY at its commit) if a runner asked for it, otherwise is quiet. With postrider.wake = ''off'' always quiet.';

-- A publisher that is just looking holds the bell, shared, for a microsecond: that is no holder, and it is tried again.
create or replace function postrider.set_bell(out is_own boolean, out is_set boolean)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  space constant int := postrider.bell_space();
begin
  for attempt in 1..100 loop
    is_own := pg_try_advisory_lock(space, 1);
    is_set := is_own or not pg_try_advisory_lock_shared(space, 1);
    exit when is_set;
    perform pg_advisory_unlock_shared(space, 1);
  end loop;
end
$$;
comment on function postrider.set_bell(out boolean, out boolean) is
  'For the session of a runner that listens: takes the bell, so that a transaction that makes jobs rings. is_own: it was free, and is this session''s now; is_set: it is held, by this one or by another.';

create or replace function postrider.is_anybody_quiet() returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  space constant int := postrider.bell_space();
begin
  return case when pg_try_advisory_lock(space, 2) then not pg_advisory_unlock(space, 2) else true end;
end
$$;
comment on function postrider.is_anybody_quiet() is
  'Whether a transaction is open that made jobs and will not ring. Asked with the bell taken: false = none will be.';

create or replace function postrider.release_bell(hand_on boolean default false) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_advisory_unlock(postrider.bell_space(), 1);
  if hand_on then
    perform pg_notify('jobs:insert', '{"count":1,"bell":"free"}');
  end if;
end
$$;
comment on function postrider.release_bell(boolean) is
  'Lets go of the bell that this session holds. hand_on: tells the other runners, of which one takes it if they sleep.';
