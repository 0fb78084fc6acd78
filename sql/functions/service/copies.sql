-- Whether this database is the one that its processes belong to, or a copy that nobody has adopted.
--
-- A copy has the endpoints of real customers in it, and everything that is open for them. So what sends (claim_many)
-- asks first, in the transaction that takes a delivery: whatever server a connection leads to, nothing leaves it
-- before it has answered. Two things are compared:
--
--   its identity   of the cluster and of the database in it, as recorded when it was migrated first. A dump that was
--                  restored, a database made from a template, one moved by pg_upgrade and a Neon branch have another. A
--                  standby that takes over has the same, and goes on without a question.
--   its name       of the environment (POSTRIDER_ENVIRONMENT), which `migrate` gives it once. It tells a physical copy
--                  (a base backup, a snapshot of the disk): that has the same identity as the original and as a
--                  standby, so only what the processes next to it are configured with is different.
--
-- Null = not recorded yet, and not compared.
create or replace function postrider.database_identity() returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  system text;
  branch constant text := nullif(current_setting('neon.timeline_id', true), '');
begin
  begin
    select c.system_identifier::text into system from pg_control_system() c;
  exception when insufficient_privilege or feature_not_supported or undefined_function then
    system := '-'; -- a server that does not let its owner ask
  end;
  return concat_ws('/', system, (select d.oid from pg_database d where d.datname = current_database()), branch);
end
$$;
comment on function postrider.database_identity() is
  'What tells this database from a restored or cloned one: the identifier of its cluster, its oid, and the branch on Neon. A physical copy and a standby that takes over have the same.';

-- unadopted: why a process must send nothing from this database.
--
-- With its owner's rights, so that everybody gets the same answer. Cost: 0.05 ms, as the control file is read.
create or replace function postrider.unadopted(
  environment text default nullif(current_setting('postrider.environment', true), '')
) returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known postrider.service;
begin
  select * into known from postrider.service s;
  return case
    when known.environment <> unadopted.environment then
      format('the database belongs to the environment %s, and this process to %s (POSTRIDER_ENVIRONMENT)',
        known.environment, unadopted.environment)
    when known.environment is not null and unadopted.environment is null then
      format('the database belongs to the environment %s, and POSTRIDER_ENVIRONMENT is not set', known.environment)
    when known.identity <> postrider.database_identity() then
      'the database is a copy: it was restored, cloned, or moved to another server'
  end;
end
$$;
comment on function postrider.unadopted(text) is
  'Why a process of this environment (default: the setting postrider.environment of its session) must send nothing from this database, in words: it is a copy, or belongs to another environment; null = it can. adopt_copy() ends that.';

create or replace function postrider.refuse_unadopted() returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  reason constant text := postrider.unadopted();
begin
  if reason is not null then
    raise exception '%', reason using errcode = '55000', hint = 'Nothing is sent until: postrider adopt';
  end if;
end
$$;
comment on function postrider.refuse_unadopted() is
  'Raises 55000 where unadopted() says why nothing can be sent.';

-- name_database: record what is compared later, once. A copy keeps what the original recorded.
create or replace function postrider.name_database(environment text) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
  update postrider.service s
  set identity = postrider.database_identity(),
    environment = coalesce(s.environment, name_database.environment)
  where (s.identity is null or s.identity = postrider.database_identity())
    and (s.identity is null or (s.environment is null and name_database.environment is not null))
$$;
comment on function postrider.name_database(text) is
  'Records the identity of the database, and the name of its environment (null = none), where they are not recorded. Called by `postrider migrate`.';

-- adopt_copy: make a copy the database of the environment that asks, with what is open in it.
--
-- In one transaction with that: no runner claims before it is committed, and none finds what was cancelled. Refused
-- while a runner works on the database, which is then no copy; and where there is nothing to adopt, so that nobody
-- cancels what is open in the original.
--
-- Locks: the row of service, and with 'cancel' all open deliveries until it has committed. Cost: of 'cancel', a pass
-- over the open deliveries in batches; otherwise nothing.
create or replace function postrider.adopt_copy(open text, environment text default null, who text default session_user)
returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known postrider.service;
  cancelled int := 0;
begin
  select * into known from postrider.service s for update;
  if open is null or open not in ('cancel', 'hold', 'send') then
    raise exception 'open is %, which is none of cancel, hold, send', coalesce(open, 'null') using errcode = '22023';
  end if;
  if postrider.unadopted(environment) is null then
    raise exception 'there is nothing to adopt: this database belongs here' using errcode = '55000',
      hint = 'Runners send from it. To stop them: select postrider.pause_all()';
  end if;
  if environment is null and known.environment is not null then
    raise exception 'the database belongs to the environment %, and the new one has no name', known.environment
      using errcode = '55000', hint = 'Set POSTRIDER_ENVIRONMENT, for the runners and for the API.';
  end if;
  if exists (
    select from postrider.runner r where r.reaped_at is null and r.stopped_at is null and postrider.has_session(r)) then
    raise exception 'runners work on this database, so it is no copy' using errcode = '55000',
      hint = 'To give it another name, stop them first: postrider runners list';
  end if;
  if open = 'cancel' then
    cancelled := postrider.cancel_everything(who);
  elsif open = 'hold' then
    perform postrider.pause_all(who);
  end if;
  update postrider.service s
  set identity = postrider.database_identity(), environment = coalesce(adopt_copy.environment, s.environment);
  perform postrider.audit(who, 'adopt_copy', 'service', null, null, jsonb_strip_nulls(jsonb_build_object(
    'open', open, 'cancelled', cancelled, 'environment', environment, 'environmentBefore', known.environment,
    'identityBefore', known.identity)));
  return cancelled;
end
$$;
comment on function postrider.adopt_copy(text, text, text) is
  'Lets the processes of an environment (null = without a name) send from this database, which is a copy. open: what becomes of open deliveries, cancel, hold (pause_all(); resume_all() sends them) or send. Returns how many were cancelled. Raises 55000 where there is nothing to adopt, or runners work on it.';

-- cancel_everything: what is open, and whatever would open more: replays, bulk jobs, backfills, events that are routed later.
create or replace function postrider.cancel_everything(who text) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids uuid[];
  claims uuid[];
  cancelled int := 0;
begin
  perform postrider.cancel_replay(r.id, who) from postrider.replay r where r.finished_at is null;
  perform postrider.cancel_backfill(b.id, who) from postrider.backfill b where b.finished_at is null;
  delete from postrider.unrouted;
  loop
    select array_agg(o.id), coalesce(array_agg(o.claim) filter (where o.claim is not null), '{}') into ids, claims
    from (select d.id, d.claim from postrider.delivery d where d.finished_at is null limit 1000) as o;
    exit when ids is null;
    cancelled := cancelled + postrider.cancel_deliveries(ids, claims);
  end loop;
  return cancelled;
end
$$;
comment on function postrider.cancel_everything(text) is
  'Cancels every open delivery, replay, bulk job and backfill, and the routing that is still to be done; returns how many deliveries. For adopt_copy(): nobody sends meanwhile.';
