-- Row-level security: what a request about one tenant can reach, whatever its queries say or forget.
--
-- The API makes such requests as role postrider_tenant with postrider.tenant_id set, both for one transaction
-- (src/postgres/tenant-scope.ts). Then
--   * every table with a tenant_id shows, and takes, rows of that tenant only; without the setting it fails;
--   * what is not granted below is refused: a new table, view or function is out of reach until it is listed;
--   * partitions have no grants, since the policies of the parent do not cover them when they are named;
--   * views have the rights of anyone who reads them (security_invoker);
--   * functions with the rights of their owner (security definer) are granted only where they ask
--     postrider.in_scope(). Everybody but their owner needs a grant as well, for publish() too.
-- The owner of the tables and superusers are exempt, and so are all other processes of the service.
--
-- Runs whenever functions are applied, so it covers the tables of later migrations, and when the role is missing:
-- roles are no part of a dump, so a backup that was restored on another server lacks it, its policies and grants.
-- role: postrider_tenant
-- Locks: access exclusive on a table that has no policy yet, once, for an instant.

-- The role: owns nothing and logs in nowhere. Databases of one server share it, and may be migrated at once.
do $role$
declare
  -- From 16 on a member may still lack the right to become the role.
  may_become constant text := case when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end;
begin
  begin
    if to_regrole('postrider_tenant') is null then
      create role postrider_tenant nologin;
    end if;
  exception when duplicate_object or unique_violation then null; -- created by another session at this moment
  end;
  begin
    if not pg_has_role('postrider_tenant', may_become) then
      execute format('grant postrider_tenant to %I', current_user);
    end if;
  exception when unique_violation then null;
  end;
exception when insufficient_privilege then
  raise exception 'role % may not do this; have an administrator run: create role postrider_tenant nologin; grant postrider_tenant to %;',
    current_user, quote_ident(current_user)
    using errcode = '42501', hint = 'Then run postrider migrate again. Create the role only if it is missing.';
end
$role$;

-- The sub-select is evaluated once a statement; without it the setting is read again for every row.
do $policies$
declare
  isolated record;
begin
  for isolated in
    select c.oid::regclass as name, a.attname as tenant_column, c.relrowsecurity as is_enabled,
      exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'one_tenant') as has_policy
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid
      and a.attname = case c.relname when 'tenant' then 'id' else 'tenant_id' end
    where c.relnamespace = 'postrider'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname !~ '^(event|delivery|attempt)_\d{8}$'
  loop
    if not isolated.is_enabled then
      execute format('alter table %s enable row level security', isolated.name);
    end if;
    if not isolated.has_policy then
      execute format(
        'create policy one_tenant on %s to postrider_tenant using (%I = (select current_setting(''postrider.tenant_id'')::uuid))',
        isolated.name, isolated.tenant_column);
    end if;
  end loop;
end
$policies$;

do $views$
declare
  own record;
begin
  for own in
    select c.oid::regclass as name from pg_class c
    where c.relnamespace = 'postrider'::regnamespace and c.relkind = 'v'
      and not coalesce('security_invoker=true' = any (c.reloptions), false)
  loop
    execute format('alter view %s set (security_invoker = true)', own.name);
  end loop;
end
$views$;

grant usage on schema postrider to postrider_tenant;

do $tables$
declare
  for_tenants constant text[] := array[
    'tenant', 'endpoint', 'endpoint_secret', 'endpoint_subscription', 'event', 'idempotency', 'delivery', 'attempt',
    'circuit', 'replay', 'event_type', 'ordering_line', 'ordering_place', 'line_state', 'endpoint_health', 'incident', 'incident_list'];
  own record;
begin
  for own in
    select c.oid::regclass as name from pg_class c
    where c.relnamespace = 'postrider'::regnamespace and c.relname = any (for_tenants)
  loop
    execute format('grant select on %s to postrider_tenant', own.name);
  end loop;
end
$tables$;
grant insert, update on postrider.endpoint to postrider_tenant;
grant insert, update, delete on postrider.endpoint_secret to postrider_tenant;

-- Each asks postrider.in_scope(), as do the functions by which it finds what it works on.
do $functions$
declare
  for_tenants constant text[] := array[
    'retry_now', 'cancel', 'pause_endpoint', 'resume_endpoint', 'enable_endpoint', 'disable_by_hand', 'delete_endpoint',
    'cancel_deliveries_of', 'lock_endpoints_of', 'explain_route', 'publish_test', 'publish_example', 'start_replay', 'start_bulk', 'start_recovery', 'cancel_replay',
    'audit_rotation', 'acknowledge_incident', 'note_incident', 'probe_incident', 'release_incident', 'pause_incident',
    'incident_message', 'notify_customer', 'skip_head', 'retry_head', 'skip_to', 'release_ordering'];
  own record;
begin
  for own in
    select p.oid::regprocedure as name, p.proname = any (for_tenants) as is_for_tenants,
      p.proacl is null or exists (select from aclexplode(p.proacl) a where a.grantee = 0) as is_public
    from pg_proc p
    where p.pronamespace = 'postrider'::regnamespace and p.prosecdef
  loop
    if own.is_public then
      execute format('revoke execute on function %s from public', own.name);
    end if;
    if own.is_for_tenants then
      execute format('grant execute on function %s to postrider_tenant', own.name);
    end if;
  end loop;
end
$functions$;
