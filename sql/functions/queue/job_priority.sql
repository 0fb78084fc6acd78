-- Who goes first: the rule for the priority of every job. Whatever makes or moves a job asks job_priority().
--
-- Runners take jobs by priority, the smaller the sooner, and among equals by run_at.
--
--   -11      a round: when the oldest in the line has been due for ten seconds and somebody is in front, up to 100 of
--            the front and as many of the line, the oldest of each. The next one begins when it is through.
--   -10      the front: what a person asked for (a retry, a test), and the few jobs that endpoints as a whole
--            need. 100 due ones of a tenant at most; a script that retries thousands fills its line, not the front.
--   0        the line: first attempts, retries, replays, released and put-off deliveries alike, in the order in
--            which they became due. 1,000 due ones of a tenant at most; of a line of more than 20,000 at most 1,000
--            of the 20,000 newest.
--   11 - 40  waiting rooms: the rest of what a tenant has due, a room for each such tenant. Runners serve a room
--            when the line is empty; otherwise share_queue() lets a group of each room in at the end of the line,
--            the oldest first, whenever those before it are through.
--   10       the surplus of a tenant that share_queue() has not seen yet; it is given its room within seconds.
--
-- So nobody waits for ever: nobody joins the line before somebody who is in it, every room is let in, and the line
-- moves also while retries come faster than they can be sent, when the front is never empty. And but for what is in
-- front, there are before a delivery of a tenant that has no more due than its share at most 1,000 of each other
-- tenant, what became due in the second before it was counted, and what runners had fetched already. Where more than
-- the 2,000 that are moved in a second became due at once, that holds once the rest has been moved.
--
-- A job that is put off keeps its turn: in front, in its room for five minutes, or else by the time until which
-- it was put off. A job for later than that stands in the line, since nobody knows now who is busy by then.

create or replace function postrider.job_priority(reason text, room int default null) returns int
language sql immutable parallel safe
return case
  when reason = 'round' then -11
  when reason in ('manual', 'test', 'probe', 'align', 'replan', 'advance') then -10
  when room is not null then 10 + room
  else 0 end;
comment on function postrider.job_priority(text, int) is
  'Priority of a job: reason is the trigger of a delivery (probe for the probe of a circuit), the task of another job, or round; room is that of a busy tenant, 0 before it has one, null for the line.';

create or replace function postrider.line_share() returns int
language sql immutable parallel safe
return 1000;
comment on function postrider.line_share() is 'Due deliveries that a tenant can have in the line.';

create or replace function postrider.front_share() returns int
language sql immutable parallel safe
return 100;
comment on function postrider.front_share() is 'Due deliveries that a tenant can have in front of the line.';

-- share_queue: keeps to the rule above. Every runner calls it each second, one at a time (the duty `backlog`).
--
-- Locks: the jobs that it moves; it skips those that are locked. Cost: some index probes while nobody has more
--        than a share due, and nobody waits in front. Otherwise up to 20,000 jobs of the line are read and 6,000 moved, of each kind 2,000.
create or replace function postrider.share_queue() returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  -- Moved back, they are moved again a second later.
  perform postrider.make_commit_forgettable();
  if not postrider.take_duty('backlog') then
    return null;
  end if;
  perform postrider.shorten_front();
  perform postrider.start_round();
  perform postrider.seat_surplus();
  return postrider.let_in();
end
$$;
comment on function postrider.share_queue() is
  'Moves what tenants have due above their share from the line into waiting rooms, and lets those in whose turn it is. Returns how many tenants have a room, null when another process is at it.';

-- Counted by endpoint first: most of the time nobody is above its share, and then nothing is sorted.
create or replace function postrider.above_share(
  of_priority int, share int, newest int, out tenant_id uuid, out jobs bigint[]
) returns setof record
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
#variable_conflict use_column
begin
  return query
  with due as materialized (
    select j.id, j.run_at, j.payload ->> 'e' as endpoint
    from graphile_worker._private_jobs j
    where j.is_available and j.priority = of_priority and j.run_at <= now()
    order by j.run_at desc limit newest
  ),
  counted as materialized (
    select d.endpoint, e.tenant_id, sum(d.jobs) over (partition by e.tenant_id) as jobs
    from (select due.endpoint, count(*) as jobs from due where due.endpoint is not null group by 1) as d
    join postrider.endpoint e on e.id = d.endpoint::uuid
  ),
  placed as (
    select d.id, c.tenant_id, row_number() over (partition by c.tenant_id order by d.run_at, d.id) as nth
    from counted c
    join due d on d.endpoint = c.endpoint
    where c.jobs > share
  ),
  above as (
    select p.id, p.tenant_id, p.nth from placed p where p.nth > share limit 2000
  )
  select a.tenant_id, array_agg(a.id order by a.nth) from above a group by a.tenant_id;
end
$$;
comment on function postrider.above_share(int, int, int) is
  'Due jobs of deliveries of this priority that are more than a share of their tenant, the newest of each; as far as so many of the newest jobs tell.';

create or replace function postrider.move_jobs(jobs bigint[], to_priority int, to_run_at timestamptz default null)
returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  free bigint[] := array(
    select j.id from graphile_worker._private_jobs j
    where j.id = any (jobs) and j.is_available
    for update skip locked);
begin
  perform graphile_worker.reschedule_jobs(free, run_at => to_run_at, priority => to_priority);
  return cardinality(free);
end
$$;
comment on function postrider.move_jobs(bigint[], int, timestamptz) is
  'Gives jobs that no runner holds another priority, and another time unless null; returns how many. Waits for nobody.';

create or replace function postrider.shorten_front() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  front constant int := postrider.job_priority('manual');
begin
  perform from graphile_worker._private_jobs j
  where j.is_available and j.priority = front and j.run_at <= now()
  order by j.run_at offset postrider.front_share() limit 1;
  if found then
    perform postrider.move_jobs(s.jobs, postrider.job_priority('schedule'), now())
    from postrider.above_share(front, postrider.front_share(), 5000) as s;
  end if;
end
$$;
comment on function postrider.shorten_front() is
  'Puts what a tenant has in front of the line above its share there at the end of the line.';

-- To move what is in front behind the line is no use: what comes a moment later would be sent before the line again.
create or replace function postrider.start_round() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  round constant int := postrider.job_priority('round');
  asked bigint[];
begin
  if postrider.due_since(round) is not null
    or coalesce(postrider.due_since(postrider.job_priority('schedule')) > now() - interval '10 seconds', true) then
    return;
  end if;
  asked := postrider.oldest_jobs(postrider.job_priority('manual'), postrider.front_share());
  perform postrider.move_jobs(
    asked || postrider.oldest_jobs(postrider.job_priority('schedule'), cardinality(asked)), round);
end
$$;
comment on function postrider.start_round() is
  'Sends as many of the line as of the front next, when the line has waited for ten seconds behind it.';

create or replace function postrider.oldest_jobs(of_priority int, jobs_max int) returns bigint[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  return array(
    select j.id from graphile_worker._private_jobs j
    where j.is_available and j.priority = of_priority and j.run_at <= now()
    order by j.run_at limit jobs_max);
end
$$;
comment on function postrider.oldest_jobs(int, int) is 'So many due jobs of this priority, the oldest first.';

create or replace function postrider.due_since(of_priority int) returns timestamptz
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
begin
  return (
    select j.run_at from graphile_worker._private_jobs j
    where j.is_available and j.priority = of_priority and j.run_at <= now()
    order by j.run_at limit 1);
end
$$;
comment on function postrider.due_since(int) is
  'Since when the oldest due job of this priority that no runner holds has been due; null when there is none.';

create or replace function postrider.seat_surplus() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  line constant int := postrider.job_priority('schedule');
  unseen constant int := postrider.job_priority('schedule', 0);
begin
  perform from graphile_worker._private_jobs j
  where j.is_available and j.priority = line and j.run_at <= now()
  order by j.run_at offset postrider.line_share() limit 1;
  if found then
    perform postrider.move_jobs(s.jobs, postrider.job_priority('schedule', postrider.room_of(s.tenant_id)))
    from postrider.above_share(line, postrider.line_share(), 20000) as s;
  end if;
  perform postrider.move_jobs(s.jobs, postrider.job_priority('schedule', postrider.room_of(s.tenant_id)))
  from postrider.above_share(unseen, 0, 2000) as s;
end
$$;
comment on function postrider.seat_surplus() is
  'Moves what tenants have in the line above their share into their rooms, and what no room was known for.';

-- 30 rooms: with more tenants above their share at a time, some have to share a room, and its turns. Not more,
-- since each is one more range of the index for a runner that looks for work.
create or replace function postrider.room_of(tenant uuid) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  theirs int := (select b.room from postrider.tenant_backlog b where b.tenant_id = tenant);
begin
  if theirs is null then
    insert into postrider.tenant_backlog (tenant_id, room)
    select tenant, r.room
    from generate_series(1, 30) as r (room)
    left join postrider.tenant_backlog b on b.room = r.room
    group by r.room order by count(b.tenant_id), r.room limit 1
    returning room into theirs;
  end if;
  return theirs;
end
$$;
comment on function postrider.room_of(uuid) is 'The waiting room of a tenant; gives it one if it has none.';

-- A group joins the end of the line, so its jobs get a new time. Their turn is over, and the next group may come,
-- once the line begins after that time. While only one tenant has a room, and nobody in the line or in front waits
-- longer than for a fetch, runners come to the room by themselves.
--
-- 2,000 in all: about what a runner or two deliver in a second, so that each group is through soon.
create or replace function postrider.let_in() returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  line constant int := postrider.job_priority('schedule');
  rooms int := (select count(distinct b.room) from postrider.tenant_backlog b);
  group_max int := least(postrider.line_share(), greatest(2000 / greatest(rooms, 1), 50));
  first_in_line timestamptz := case when rooms > 0 then postrider.due_since(line) end;
  first_of_all timestamptz := case when rooms > 0 then
    least(first_in_line, postrider.due_since(postrider.job_priority('manual')), postrider.due_since(postrider.job_priority('round'))) end;
  waiting record;
begin
  for waiting in
    select b.room, postrider.job_priority('schedule', b.room) as priority, max(b.let_in_at) as let_in_at
    from postrider.tenant_backlog b group by b.room order by max(b.let_in_at)
  loop
    if not exists (
      select from graphile_worker._private_jobs j where j.is_available and j.priority = waiting.priority) then
      delete from postrider.tenant_backlog b where b.room = waiting.room;
    elsif (rooms > 1 or first_of_all < now() - interval '1 second')
      and coalesce(first_in_line > waiting.let_in_at, true) then
      perform postrider.move_jobs(postrider.oldest_jobs(waiting.priority, group_max), line, now());
      update postrider.tenant_backlog b set let_in_at = now() where b.room = waiting.room;
    end if;
  end loop;
  return (select count(*) from postrider.tenant_backlog);
end
$$;
comment on function postrider.let_in() is
  'Lets the next group of each waiting room into the line whose last one is through, and closes empty rooms. Returns how many tenants have a room.';
