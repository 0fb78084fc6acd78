-- enqueue: add the wake-up jobs of deliveries; the only place where jobs are made.
--
-- The job of a delivery has the key 'd:<delivery id>', so there is one at most, and a new one replaces it
-- or, where the old one is locked by a runner, makes the old one inert (graphile-worker clears its key and
-- exhausts its attempts). A keyed add can be dropped silently in a race with a runner that is just locking
-- the job (graphile/worker#580); this raises 40001 then, and the caller's transaction is tried again.
--
-- Runs in the caller's transaction. Cost: one NOTIFY, 0.02 ms a job in batches.
-- enable_seqscan = off: sessions that planned add_jobs on an empty jobs table keep a sequential scan
-- (measured: 17 ms a call with 60,000 jobs waiting, against 0.7 ms).
create or replace function postrider.enqueue(
  delivery_ids uuid[], due_attempts int[], run_ats timestamptz[], priority int default 0
) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  added int;
begin
  if cardinality(delivery_ids) > 0 then
    select count(*) into added
    from graphile_worker.add_jobs(array(
      select row('deliver', json_build_object('d', w.id, 'n', w.due), null, w.run_at, 25,
                 'd:' || w.id, enqueue.priority, null)::graphile_worker.job_spec
      from unnest(delivery_ids, due_attempts, run_ats) as w (id, due, run_at)));
    if added <> cardinality(delivery_ids) then
      raise exception 'a job is being picked up at this moment'
        using errcode = '40001', hint = 'Try the transaction again.';
    end if;
  end if;
end
$$;
comment on function postrider.enqueue(uuid[], int[], timestamptz[], int) is
  'Adds one wake-up job per delivery: parallel arrays of delivery id, due attempt and time (null = now). Raises 40001 when a job could not be added.';
