-- type_patterns: every pattern that an event type matches.
--
-- 'a.b.c' -> {*, a.b.c, a.*, a.b.*}. Matching by equality with one of them makes finding the endpoints
-- of an event an index probe per pattern instead of a scan of the tenant's endpoints.
-- A loop and no query, which costs more than all the rest of it.
create or replace function postrider.type_patterns(type text) returns text[]
language plpgsql immutable strict parallel safe
as $$
declare
  patterns text[] := array['*', type];
  prefix_length int := strpos(type, '.');
begin
  while prefix_length > 0 loop
    patterns := patterns || (left(type, prefix_length) || '*');
    prefix_length := nullif(strpos(substr(type, prefix_length + 1), '.'), 0) + prefix_length;
  end loop;
  return patterns;
end
$$;
comment on function postrider.type_patterns(text) is
  'Every subscription pattern that matches an event type: *, the type itself, and prefix.* for each of its prefixes.';

-- keep_subscriptions: trigger that keeps postrider.endpoint_subscription in step with endpoint.event_types.
create or replace function postrider.keep_subscriptions() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from postrider.endpoint_subscription s
  where s.endpoint_id = new.id and (new.deleted_at is not null or s.pattern <> all (new.event_types));
  if new.deleted_at is null then
    insert into postrider.endpoint_subscription (tenant_id, pattern, endpoint_id)
    select distinct new.tenant_id, pattern, new.id
    from unnest(new.event_types) as pattern
    on conflict do nothing;
  end if;
  return null;
end
$$;
comment on function postrider.keep_subscriptions() is
  'Trigger on endpoint: one postrider.endpoint_subscription row for each pattern of endpoint.event_types.';

create or replace trigger endpoint_subscriptions
after insert or update of event_types, deleted_at on postrider.endpoint
for each row execute function postrider.keep_subscriptions();
