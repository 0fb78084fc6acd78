-- The settings that our functions run with in any session: applied here, at the end, to all of them, so
-- that none can be forgotten. Sessions of our own have them as well (src/postgres/session-settings.ts); those
-- of producers and operators have what their database or role was given, and keep it.
--
-- How statements are planned (each function that departs from Postgres' choice says so where it stands):
--   enable_seqscan = off      Queue and backlog are empty one minute and full the next, and a plan that was made
--                             on an empty table reads all of a full one. Ours always have an index to go by. Every
--                             entrance that reads events, deliveries or attempts has it (function-settings.test.ts).
--   enable_bitmapscan = off   Where a bound on an id would have Postgres mark a whole day in a bitmap first.
--   plan_cache_mode           force_generic_plan: planned once a session, where planning takes longer than
--                             running. force_custom_plan: planned with the values, where they decide which
--                             partitions are read.
--   jit = off                 Before Postgres 18, enable_seqscan = off adds 1e10 to the cost of what cannot do
--                             without a scan, which is far above what a plan is compiled for (jit_above_cost):
--                             300 to 1,000 ms for each fetch of jobs, publish and claim, to run for one.
--                             Servers that are built with LLVM compile by default, and those of packages and
--                             images are.
--
-- How the text of a function and the values in it are read. A body is read in the session that calls it, the
-- first time: with standard_conforming_strings = off the pattern of a type lost its backslash and took 'a b',
-- and with plpgsql.extra_errors = all some of ours fail; with exit_on_error = on an event that is refused would end the
-- session of its producer. A time without a zone is one in UTC for every producer.
--
-- Which: all that have a setting already get jit = off, and those with their owner's rights (security definer),
-- which are what everybody else calls, get the rest; what they call has it from them. Those without any keep
-- none: Postgres puts the text of such a function in place of the call, which a setting would forbid.
-- Some of those have none since every event passes through them (events/publish.sql).
do $settings$
declare
  own record;
  setting text;
begin
  for own in
    select p.oid::regprocedure as name, p.prosecdef as is_entrance
    from pg_proc p
    where p.pronamespace = 'postrider'::regnamespace and p.prokind = 'f'
      and (p.prosecdef or p.proconfig is not null)
  loop
    execute format('alter function %s set jit = off', own.name);
    if own.is_entrance then
      foreach setting in array array[
        'standard_conforming_strings = on', 'plpgsql.extra_errors = none', 'exit_on_error = off',
        'datestyle = ''ISO, MDY''', 'timezone = ''UTC'''
      ] loop
        execute format('alter function %s set %s', own.name, setting);
      end loop;
    end if;
  end loop;
end
$settings$;
