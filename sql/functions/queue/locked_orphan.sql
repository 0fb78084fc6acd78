create or replace view postrider.locked_orphan as
select j.locked_by, count(*) as jobs, min(j.locked_at) as since
from graphile_worker.jobs j
left join postrider.runner r on r.id = j.locked_by and r.reaped_at is null and r.stopped_at is null
where j.locked_by is not null and r.id is null
group by j.locked_by;
comment on view postrider.locked_orphan is
  'Runners that hold jobs although they are unknown, stopped or reaped. Empty except for moments; reconcile() unlocks what is older than 30 s. Cost: one pass over the jobs.';
comment on column postrider.locked_orphan.locked_by is 'Who holds the jobs: id of a worker pool, as runner.id.';
comment on column postrider.locked_orphan.jobs is 'How many jobs.';
comment on column postrider.locked_orphan.since is 'When the oldest of them was locked.';
