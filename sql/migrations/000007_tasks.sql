-- The tasks that jobs are made for, known to graphile-worker before the first of them.
--
-- What:  adds a job of each task and removes it again, which leaves the task's name.
-- Why:   the first job of a task stores its name, and every other producer waits for that row until the first
--        one commits: the first event of a new service, published in a transaction that stays open, would
--        have blocked all publishing.
-- Locks: none that anything waits for.
-- breaking: no

do $tasks$
declare
  task text;
begin
  foreach task in array array['deliver', 'probe', 'align', 'replay', 'replan', 'advance'] loop
    perform graphile_worker.add_job(task, job_key => 'register:' || task, run_at => 'infinity');
    perform graphile_worker.remove_job('register:' || task);
  end loop;
end
$tasks$;
