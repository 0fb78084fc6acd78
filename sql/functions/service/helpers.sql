-- Small functions that the others are made of. Written with `return`, so that their names are resolved
-- once, at creation, and the planner can put their text in place of the call.

create or replace function postrider.accepts_work(endpoint postrider.endpoint, tenant postrider.tenant)
returns boolean
language sql immutable parallel safe
return endpoint.state = 'active' and endpoint.deleted_at is null and tenant.suspended_at is null
  and endpoint.unreadable_since is null;
comment on function postrider.accepts_work(postrider.endpoint, postrider.tenant) is
  'Whether deliveries of this endpoint can be sent now: people let it, and its secret can be opened. Otherwise they are held. Its circuit has a say too.';

create or replace function postrider.has_lines(endpoint postrider.endpoint) returns boolean
language sql immutable parallel safe
return endpoint.ordering = 'key' or endpoint.collapse_ms is not null;
comment on function postrider.has_lines(postrider.endpoint) is
  'Whether the events of one ordering key are sent one after another: in order, or the newest only.';

-- Not on current_user, which inside a security definer function is the owner; "role" stays what it was set to.
create or replace function postrider.in_scope(tenant uuid) returns boolean
language sql stable parallel safe
return case
  when current_setting('role') = 'postrider_tenant'
    then coalesce(tenant = nullif(current_setting('postrider.tenant_id', true), '')::uuid, false)
  else true end;
comment on function postrider.in_scope(uuid) is
  'Whether this transaction can touch what is a tenant''s: those of the API for one tenant (tenants/tenant_isolation.sql) can touch no other. Asked by the security definer functions that they call, which row-level security does not hold.';

-- The settings end with the transaction, so they hold behind poolers and touch nothing that comes later.
create or replace function postrider.make_commit_durable() returns void
language plpgsql
as $$
begin
  if current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
end
$$;
comment on function postrider.make_commit_durable() is
  'Has the commit of this transaction wait for the disk and for the synchronous standby, if there is one, whatever the role or database was given; more than that stays as it is.';

create or replace function postrider.make_commit_forgettable() returns void
language plpgsql
as $$
begin
  perform pg_catalog.set_config('synchronous_commit', 'off', true);
end
$$;
comment on function postrider.make_commit_forgettable() is
  'Has the commit of this transaction wait for nothing: a crash or a failover can lose it. For what is done again anyway (docs/explanation/guarantees.md).';

-- A transaction that writes nothing waits for nothing, and what it has read may be on this server only: the wait of
-- that commit was cancelled, or ended with the server. A message in the log of changes is the least that can
-- be written; it changes no row.
create or replace function postrider.wait_for_what_was_read() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if current_setting('synchronous_standby_names') <> '' then
    perform pg_logical_emit_message(true, 'postrider', '');
  end if;
end
$$;
comment on function postrider.wait_for_what_was_read() is
  'Has the commit of this transaction wait until the synchronous standby, if there is one, has all that was committed before.';

create or replace function postrider.body(type text, occurred_at timestamptz, data json) returns text
language sql stable parallel safe
return '{"type":' || to_json(type)::text
  || ',"timestamp":"' || to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
  || '","data":' || data::text || '}';
comment on function postrider.body(text, timestamptz, json) is
  'The request body of an event (Standard Webhooks): the same bytes for every attempt; data as the producer gave it.';

create or replace function postrider.body_length(type text, data json) returns int
language sql stable parallel safe
return octet_length(to_json(type)::text) + octet_length(data::text) + 56;
comment on function postrider.body_length(text, json) is
  'How many bytes body() has, without building it: what it adds to type and data always has the same length.';

create or replace function postrider.id_range(ids uuid[], out min_id uuid, out max_id uuid)
language sql immutable parallel safe
return (
  select row(sorted[1], sorted[cardinality(sorted)])
  from (select array_agg(id order by id) as sorted from unnest(ids) as id) as s
);
comment on function postrider.id_range(uuid[]) is
  'Smallest and largest of the ids. As a bound in a statement they keep the partitions between, and only those.';

create or replace function postrider.has_data(event uuid) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
begin
  return exists (select from postrider.event e where e.id = has_data.event and e.data is not null);
end
$$;
comment on function postrider.has_data(uuid) is
  'Whether there is something to send: the event is there, and its data was not erased.';

-- Row locks, not advisory ones, which any role that can connect could hold for ever. Locking a row needs rights
-- on its table.
create or replace function postrider.take_duty(duty text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from postrider.duty d where d.name = take_duty.duty for update skip locked;
  return found;
end
$$;
comment on function postrider.take_duty(text) is
  'Takes a duty (postrider.duty) until the transaction ends; false when another process is at it.';

-- Only attempts that are still 'started': one that finished in the meantime keeps its outcome.
create or replace function postrider.abandon(attempt_ids uuid[]) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
as $$
declare
  ids record;
  abandoned int;
begin
  select * into ids from postrider.id_range(attempt_ids);
  update postrider.attempt a
  set outcome = 'abandoned', finished_at = clock_timestamp(),
    reason = 'runner_lost', error = 'the runner was cut off before the answer was written down'
  where a.id = any (attempt_ids) and a.id between ids.min_id and ids.max_id and a.outcome = 'started';
  get diagnostics abandoned = row_count;
  return abandoned;
end
$$;
comment on function postrider.abandon(uuid[]) is
  'Marks attempts that were cut off as abandoned; returns how many.';

create or replace function postrider.caller() returns name
language sql stable
return case current_setting('role') when 'none' then session_user else current_setting('role')::name end;
comment on function postrider.caller() is
  'The role that the session has taken, also inside a security definer function.';
