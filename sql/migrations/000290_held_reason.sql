-- Why a delivery is held.
--
-- What:  delivery.held_reason, set while state is 'held', and an index on what is held.
-- Why:   what is released for one reason must not release what is held for another, and a DBA who looks at the table
--        sees what to lift. The index gives a batch of one reason without reading what is held for others.
-- Locks: access exclusive on delivery while its rows are read, for the checks and the index: a moment where few are
--        stored. What is held is rewritten.
-- breaking: yes

alter table postrider.delivery add column held_reason text;
update postrider.delivery d
set held_reason = case
  when e.state = 'disabled' then 'disabled'
  when e.state = 'paused' then 'paused'
  when t.suspended_at is not null then 'suspended'
  when e.unreadable_since is not null then 'secret'
  when c.opened_at is not null then 'circuit'
  else 'paused' end
from postrider.tenant t, postrider.endpoint e
left join postrider.circuit c on c.endpoint_id = e.id
where d.state = 'held' and e.id = d.endpoint_id and t.id = d.tenant_id;
alter table postrider.delivery
  add check (held_reason in ('disabled', 'paused', 'suspended', 'secret', 'circuit')),
  add check ((state = 'held') = (held_reason is not null));
create index delivery_held on postrider.delivery (endpoint_id, held_reason) where held_reason is not null;
comment on column postrider.delivery.held_reason is
  'Why it is held: disabled, paused (its endpoint, or everything), suspended (its tenant), secret (no key opens it), circuit (its endpoint fails); null = it is not held.';
comment on column postrider.delivery.state is
  'pending (a job exists), held (no job exists: see held_reason), delivering (a runner has claimed it), delivered, failed (the schedule is used up), cancelled. Every way from one to another: sql/functions/045_delivery_state.sql.';
