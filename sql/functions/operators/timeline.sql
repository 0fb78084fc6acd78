-- note_timeline: remembers the timeline of the server, and whether commits wait for a standby.
--
-- After a failover the new primary has what the old one had sent it. The last row of the old timeline so tells what
-- was promised then, and when that was last heard: what doctor says about a failover rests on it.
-- Cost: three functions and a lookup; a row is written every ten seconds, and when something has changed.
create or replace function postrider.note_timeline() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  system text;
  number int;
  synchronous constant boolean := current_setting('synchronous_standby_names') <> '';
begin
  if pg_is_in_recovery() then
    return;
  end if;
  begin
    select c.system_identifier::text, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
    into system, number from pg_control_system() c;
  exception when insufficient_privilege or feature_not_supported or undefined_function then
    return; -- a server that does not let its owner ask, or has no timelines
  end;
  if exists (
    select from postrider.timeline t
    where t.system_identifier = system and t.timeline = number and t.is_synchronous = synchronous
      and t.seen_at > clock_timestamp() - interval '10 s') then
    return;
  end if;
  perform postrider.make_commit_forgettable(); -- noted again
  insert into postrider.timeline as t (system_identifier, timeline, is_synchronous)
  values (system, number, synchronous)
  on conflict (system_identifier, timeline)
  do update set is_synchronous = excluded.is_synchronous, seen_at = excluded.seen_at;
end
$$;
comment on function postrider.note_timeline() is
  'Notes in postrider.timeline on which timeline the server is, and whether commits wait for a standby. Called every second by each runner.';

create or replace view postrider.failover as
select t.system_identifier, t.since as at, t.timeline, before.timeline as timeline_before,
  before.is_synchronous as was_synchronous, before.seen_at as last_seen_at
from postrider.timeline t
cross join lateral (
  select b.timeline, b.is_synchronous, b.seen_at from postrider.timeline b
  where b.system_identifier = t.system_identifier and b.timeline < t.timeline
  order by b.timeline desc limit 1
) as before;
comment on view postrider.failover is
  'Failovers, and restores to a point in time: one server ended a timeline and another began the next. Cost: a row each.';
comment on column postrider.failover.system_identifier is 'Of the cluster, as in timeline.';
comment on column postrider.failover.at is 'When a process of this service first saw the new timeline.';
comment on column postrider.failover.timeline is 'The new timeline.';
comment on column postrider.failover.timeline_before is 'The one before, as far as we have seen.';
comment on column postrider.failover.was_synchronous is 'Whether commits of the one before waited for a standby when it was last seen. If not, what was acknowledged shortly before the failover can be gone.';
comment on column postrider.failover.last_seen_at is 'When that was, as far as the server that took over had heard.';
