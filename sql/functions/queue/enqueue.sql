-- enqueue: add the wake-up jobs of deliveries; the only place where jobs are made.
--
-- The job of a delivery has the key 'd:<delivery id>', so there is one at most, and a new one replaces it
-- or, where the old one is locked by a runner, makes the old one inert (graphile-worker clears its key and
-- exhausts its attempts). A keyed add can be dropped silently in a race with a runner that is just locking
-- the job (graphile/worker#580); this raises 40001 then, and the caller's transaction is tried again.
--
-- One living job per number. An inert job may still be in the hands of a runner that has fetched it and not
-- claimed yet, and that will claim with the number it has read. So each job that is made for a delivery gets a
-- number that no job of it had before: a caller of this for a delivery that is not new sets
-- due_attempt = due_attempt + 1 in the same transaction. Then only the newest job can claim, and a delivery that
-- is 'delivering' and is claimed with the newest number has lost its runner: a job is taken from a runner only
-- when that was reaped, and then claims and snoozes nothing. Removing a job needs no new number: until the next
-- job is made, the delivery is in a state that nobody claims.
--
-- Runs in the caller's transaction. Cost: 0.02 ms a job in batches. Whether runners have to be woken is decided in
-- queue/bell.sql; nobody is for jobs that are due later. postrider in the search_path puts its pg_notify before Postgres'.
-- enable_seqscan = off: sessions that planned add_jobs on an empty jobs table keep a sequential scan
-- (measured: 17 ms a call with 60,000 jobs waiting, against 0.7 ms).
--
-- Priorities follow the rule in queue/job_priority.sql: `triggers` says why each delivery is tried, and whether its tenant
-- has more due than its share is found out here. That costs one probe of an empty table as long as nobody has.
create or replace function postrider.enqueue(
  delivery_ids uuid[], due_attempts int[], run_ats timestamptz[], endpoint_ids uuid[] default null,
  triggers text[] default null, reservations json[] default null
) returns void
language plpgsql
set search_path = postrider, pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  rooms int[] := postrider.rooms_for(endpoint_ids, run_ats);
  added int;
  is_any_due boolean;
begin
  if cardinality(delivery_ids) > 0 then
    select count(*), bool_or(j.run_at <= clock_timestamp()) into added, is_any_due
    from graphile_worker.add_jobs(array(
      select row(
        'deliver',
        json_strip_nulls(json_build_object('d', w.id, 'n', w.due, 'e', w.endpoint_id, 'r', w.reservation)),
        null, w.run_at, 25, 'd:' || w.id, postrider.job_priority(w.trigger, w.room), null)::graphile_worker.job_spec
      from unnest(delivery_ids, due_attempts, run_ats, endpoint_ids, triggers, reservations, rooms)
        as w (id, due, run_at, endpoint_id, trigger, reservation, room))) as j;
    if added <> cardinality(delivery_ids) then
      raise exception 'a job is being picked up at this moment'
        using errcode = '40001', hint = 'Try the transaction again.';
    end if;
    if is_any_due then
      perform postrider.wake_runners();
    end if;
  end if;
end
$$;
comment on function postrider.enqueue(uuid[], int[], timestamptz[], uuid[], text[], json[]) is
  'Adds one wake-up job per delivery: parallel arrays of delivery id, due attempt, time (null = now), endpoint (null = limits are not asked), why it is tried (delivery.trigger, or probe; null = schedule) and reserved slot (null = none). Raises 40001 when a job could not be added.';

-- enqueue_single: add the job about a whole endpoint, tenant or replay; there is one of a key at most, and it is moved
-- when it exists. Raises 40001 as enqueue does.
create or replace function postrider.enqueue_single(task text, payload json, run_at timestamptz, job_key text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  job bigint;
begin
  select j.id into job
  from graphile_worker.add_job(task, payload, run_at => enqueue_single.run_at, job_key => enqueue_single.job_key,
    priority => postrider.job_priority(task)) as j;
  if job is null then
    raise exception 'a job is being picked up at this moment'
      using errcode = '40001', hint = 'Try the transaction again.';
  end if;
end
$$;
comment on function postrider.enqueue_single(text, json, timestamptz, text) is
  'Adds, or moves, the one job with this key, at the priority of its task. Raises 40001 when it could not be added.';

-- rooms_for: the waiting room of each job that is made, null for the line.
create or replace function postrider.rooms_for(endpoint_ids uuid[], run_ats timestamptz[]) returns int[]
language plpgsql
as $$
begin
  if cardinality(endpoint_ids) <= postrider.line_share()
    and not exists (select from postrider.tenant_backlog) then
    return null;
  end if;
  return array(
    select case
      when w.run_at > now() + interval '5 minutes' then null
      when b.room is not null then b.room
      when row_number() over (partition by e.tenant_id order by w.nth) > postrider.line_share() then 0 end
    from unnest(endpoint_ids, run_ats) with ordinality as w (endpoint_id, run_at, nth)
    left join postrider.endpoint e on e.id = w.endpoint_id
    left join postrider.tenant_backlog b on b.tenant_id = e.tenant_id
    order by w.nth);
end
$$;
comment on function postrider.rooms_for(uuid[], timestamptz[]) is
  'The waiting room of each of these jobs (parallel arrays of endpoint and time): that of its tenant, 0 for what one call adds above the share of a tenant that has none; null = the line.';

-- hand_over_jobs: the job that a runner holds wakes another delivery from now on. The row stays the same, so that the
-- finish removes it, and a runner that takes it over when this one dies finds the delivery that was claimed.
create or replace function postrider.hand_over_jobs(
  from_ids uuid[], to_ids uuid[], due_attempts int[], endpoint_ids uuid[]
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
begin
  update graphile_worker._private_jobs j
  set key = 'd:' || w.to_id, payload = json_build_object('d', w.to_id, 'n', w.due, 'e', w.endpoint_id)
  from unnest(from_ids, to_ids, due_attempts, endpoint_ids) as w (from_id, to_id, due, endpoint_id)
  where j.key = 'd:' || w.from_id;
end
$$;
comment on function postrider.hand_over_jobs(uuid[], uuid[], int[], uuid[]) is
  'Gives the job of one delivery to another, which has none (parallel arrays: whose job it is, whose it becomes, its number, the endpoint).';

-- snooze_many: put off the jobs of deliveries whose endpoint is at its limit. No attempt is used up, and
-- the deliveries keep their state (a 'delivering' one is yet to be taken over from a runner that is gone); the
-- job that is running now becomes inert. One whose number is not the newest changes nothing: another job has its
-- place, or none is wanted. So calling it again after a lost answer is harmless.
--
-- A runner knows the limits as they were some seconds ago. Where they have changed since, the job is made due at once,
-- without its slot, and the endpoint is returned: the runner is to look up its limits.
--
-- Locks: the delivery rows, for this short transaction. Cost: one statement a table and batch; planned as in
-- claim_many.
create or replace function postrider.snooze_many(
  delivery_ids uuid[], due_attempts int[], wait_ms float8[], endpoint_ids uuid[], reservations json[], runner text,
  rate_versions int[], max_in_flights int[], in_hand boolean[]
) returns uuid[]
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
as $$
declare
  changed uuid[];
begin
  perform postrider.refuse_unless_living(runner);
  select array_agg(distinct e.id) into changed
  from unnest(endpoint_ids, rate_versions, max_in_flights) as w (endpoint_id, rate_version, max_in_flight)
  join postrider.endpoint e on e.id = w.endpoint_id
  where e.rate_version <> w.rate_version or e.max_in_flight is distinct from w.max_in_flight;

  perform postrider.snooze_deliveries(array_agg(w.id), array_agg(w.due),
    array_agg(clock_timestamp() + make_interval(secs => case when w.is_void then 0 else w.ms / 1000 end)),
    array_agg(case when not w.is_void then w.reservation end), in_hand => array_agg(w.in_hand))
  from (
    select w.*, w.endpoint_id = any (changed) is true as is_void
    from unnest(delivery_ids, due_attempts, wait_ms, endpoint_ids, reservations, in_hand)
      as w (id, due, ms, endpoint_id, reservation, in_hand)
  ) as w;
  return coalesce(changed, '{}');
end
$$;
comment on function postrider.snooze_many(uuid[], int[], float8[], uuid[], json[], text, int[], int[], boolean[]) is
  'Puts off the jobs of deliveries by so many milliseconds each (parallel arrays: delivery id, number in the job, wait, endpoint, slot reserved, by which limits: rate_version and max_in_flight, and whether this runner has the job; what another is sending stays as it is). Returns the endpoints whose limits are no longer those. Raises 55000 when the runner is not registered or was found dead.';
