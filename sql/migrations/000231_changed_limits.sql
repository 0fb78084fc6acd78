-- A changed limit of an endpoint reaches the deliveries that it has put off.
--
-- What:  delivery.put_off_until, endpoint.rate_version, and the task `replan`, registered as in 000012.
-- Why:   until when a limit has put a delivery off was in its job only: nobody saw it, and a limit that was raised
--        did not reach it.
-- Locks: ACCESS EXCLUSIVE on endpoint, delivery and the partitions of delivery for a moment, for the catalogue only;
--        nothing is read or rewritten.
-- breaking: no

alter table postrider.delivery add column put_off_until timestamptz;
comment on column postrider.delivery.put_off_until is 'Until when a limit of the endpoint has put it off, as far as that was after next_attempt_at; null = not since its newest job was made. Not indexed, so that putting off stays cheap.';
comment on column postrider.delivery.next_attempt_at is 'When the next attempt is due; null once finished. A limit of the endpoint may put it off beyond that: put_off_until.';

alter table postrider.endpoint add column rate_version int not null default 0;
comment on column postrider.endpoint.rate_version is 'Counts the changes of rate_per_second, by trigger; slots that were reserved under another number are void.';

select graphile_worker.add_job('replan', job_key => 'register:replan', run_at => 'infinity');
select graphile_worker.remove_job('register:replan');
