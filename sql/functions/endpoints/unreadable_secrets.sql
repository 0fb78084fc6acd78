-- Endpoints whose secret, client key or secret header no key of a runner opens: what would be sent to them is held.
--
-- The first runner that fails to open one marks the endpoint, which then accepts no work (accepts_work): what is open
-- is held by its 'align' job, what is published is held from the start, and nothing is claimed in vain. The mark goes
--   when one of these changes                     by trigger; where the new one cannot be opened either it comes again
--   when the overlap of an old secret ends        release_outlived_secrets(), every minute; likewise
--   when a runner starts that can open all        (src/secrets/unreadable-secrets.ts)
--   when somebody calls release_secrets()         postrider secrets release
-- What is held for another reason as well (paused, disabled, an open circuit) stays held for that one.

-- hold_unreadable: mark an endpoint. Not where what could not be opened is no longer what signs: it was changed
-- between the claim and this call. Locks: the endpoint row, as a rotation does.
create or replace function postrider.hold_unreadable(endpoint uuid, sealed text[], detail text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  target postrider.endpoint;
begin
  select * into target from postrider.endpoint e
  where e.id = hold_unreadable.endpoint and e.deleted_at is null for no key update;
  if target.id is null or target.unreadable_since is not null then
    return target.id is not null;
  end if;
  if coalesce(target.client_key_encrypted <> all (sealed), true)
    and not exists (select from jsonb_each_text(target.secret_headers) as h where h.value = any (sealed))
    and not exists (
    select from postrider.endpoint_secret s
    where s.endpoint_id = target.id and s.encrypted = any (sealed) and (s.expires_at is null or s.expires_at > now()))
  then
    return false;
  end if;
  update postrider.endpoint e set unreadable_since = now(), unreadable_detail = left(detail, 500)
  where e.id = target.id;
  perform postrider.enqueue_endpoint_job('align', target.id, now());
  perform postrider.emit(target.tenant_id, 'endpoint.unreadable', json_build_object(
    'endpointId', target.id, 'detail', left(detail, 500)));
  return true;
end
$$;
comment on function postrider.hold_unreadable(uuid, text[], text) is
  'Has the deliveries of an endpoint held because these texts, its secret, its client key or secret headers, cannot be opened. False when none of them is in use any more.';

-- release_secrets: try again. Where it cannot be opened after all, the first delivery has it held again.
create or replace function postrider.release_secrets(
  endpoints uuid[] default null, who text default session_user, batch int default 1000
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  one postrider.endpoint;
  released int := 0;
begin
  for one in
    select * from postrider.endpoint e
    where e.unreadable_since is not null and e.deleted_at is null
      and (endpoints is null or e.id = any (endpoints)) and postrider.in_scope(e.tenant_id)
    order by e.id limit batch for no key update
  loop
    update postrider.endpoint e set unreadable_since = null, unreadable_detail = null where e.id = one.id;
    perform postrider.enqueue_endpoint_job('align', one.id, now());
    perform postrider.schedule_probe(c.endpoint_id, now())
    from postrider.circuit c
    where c.endpoint_id = one.id and c.opened_at is not null;
    perform postrider.audit(who, 'release_secrets', 'endpoint', one.id::text, one.tenant_id,
      jsonb_build_object('unreadableSince', one.unreadable_since, 'detail', one.unreadable_detail));
    released := released + 1;
  end loop;
  return released;
end
$$;
comment on function postrider.release_secrets(uuid[], text, int) is
  'Releases what is held because the secret, client key or secret headers of these endpoints, or of any, could not be opened, once runners have the key. Returns for how many endpoints: call it until it returns 0.';

-- release_outlived_secrets: nothing changes when an overlap ends, and the old secret can be the one that could not be
-- opened. Once for each that ends: where another one is closed the endpoint is marked later than that.
create or replace function postrider.release_outlived_secrets(batch int default 100) returns int
language plpgsql
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
  endpoints uuid[] := array(
    select e.id from postrider.endpoint e
    where e.unreadable_since is not null and e.deleted_at is null and exists (
      select from postrider.endpoint_secret s
      where s.endpoint_id = e.id and s.expires_at > e.unreadable_since and s.expires_at <= now())
    order by e.id limit batch for no key update skip locked);
begin
  return postrider.release_secrets(endpoints, 'the end of an overlap');
end
$$;
comment on function postrider.release_outlived_secrets(int) is
  'Has endpoints retried whose secret could not be opened, and of which a secret has expired since; returns how many.';

create or replace function postrider.release_changed_secret() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.release_secrets(
    array[(to_jsonb(coalesce(new, old)) ->> tg_argv[0])::uuid], 'a change of the secret');
  return null;
end
$$;
comment on function postrider.release_changed_secret() is
  'Trigger: has an endpoint retried whose secret, client key or secret header could not be opened, now that it was changed. Its argument names the column that holds the endpoint.';

create or replace trigger endpoint_secret_changed
after insert or update or delete on postrider.endpoint_secret
for each row execute function postrider.release_changed_secret('endpoint_id');

create or replace trigger client_key_changed
after update of client_key_encrypted, secret_headers on postrider.endpoint
for each row
when (new.unreadable_since is not null and (new.client_key_encrypted, new.secret_headers)
  is distinct from (old.client_key_encrypted, old.secret_headers))
execute function postrider.release_changed_secret('id');

-- unreadable_secrets: for metrics. Cost: an index of those endpoints, and up to 100,000 open deliveries of theirs.
create or replace function postrider.unreadable_secrets(out endpoints bigint, out deliveries bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
  select
    (select count(*) from postrider.endpoint e where e.unreadable_since is not null and e.deleted_at is null),
    (select count(*)
     from (
       select from postrider.endpoint e
       cross join lateral (
         select from postrider.delivery d
         where d.endpoint_id = e.id and d.finished_at is null and d.state = 'held' offset 0
       ) as d
       where e.unreadable_since is not null and e.deleted_at is null
       limit 100000
     ) as held)
$$;
comment on function postrider.unreadable_secrets() is
  'How many endpoints have a secret, client key or secret header that could not be opened, and how many deliveries are held for them; 100,000 stands for that many or more.';

-- reseal: put texts that were encrypted again in the place of those before, by the processes that have the keys.
-- What somebody has changed meanwhile stays as it is. Each item is {"id", "texts": {"before": "after"}}.
--
-- It leaves one row in audit_log, none for each endpoint (postrider.resealing, audit-log/audit_settings.sql).
--
-- Locks: the rows of the endpoints in the order of their ids, as a rotation does, for one short statement each.
create or replace function postrider.reseal(items jsonb, who text default session_user) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
as $$
declare
  ids constant uuid[] := array(select (i ->> 'id')::uuid from jsonb_array_elements(items) as i);
  resealed int;
begin
  perform from postrider.endpoint e where e.id = any (ids) order by e.id for no key update;
  get diagnostics resealed = row_count;
  perform set_config('postrider.resealing', 'on', true);
  update postrider.endpoint_secret s
  set encrypted = i -> 'texts' ->> s.encrypted
  from jsonb_array_elements(items) as i
  where s.endpoint_id = any (ids) and s.endpoint_id = (i ->> 'id')::uuid and i -> 'texts' ? s.encrypted;
  update postrider.endpoint e
  set client_key_encrypted = coalesce(i -> 'texts' ->> e.client_key_encrypted, e.client_key_encrypted),
    secret_headers = (
      select coalesce(jsonb_object_agg(h.key, coalesce(i -> 'texts' ->> h.value, h.value)), '{}')
      from jsonb_each_text(e.secret_headers) as h)
  from jsonb_array_elements(items) as i
  where e.id = any (ids) and e.id = (i ->> 'id')::uuid
    and (i -> 'texts' ? e.client_key_encrypted or exists (
      select from jsonb_each_text(e.secret_headers) as h where i -> 'texts' ? h.value));
  perform set_config('postrider.resealing', '', true);
  perform postrider.audit(who, 'reseal', 'service', null, null, jsonb_build_object('endpoints', resealed));
  return resealed;
end
$$;
comment on function postrider.reseal(jsonb, text) is
  'Replaces encrypted texts of endpoints by the same ones encrypted again, where nobody has changed them meanwhile. Returns for how many endpoints; writes a row to audit_log.';
