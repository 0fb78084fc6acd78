-- publish_rows: what the trigger of an attached table calls, in the transaction that changes the table.
--
-- With the settings of publish_many, since every event passes through it. Its signature stands in the trigger functions
-- that attach() has written, which a release does not rewrite: it stays as it is, and a new one gets another name.

create or replace function postrider.publish_rows(events json, source text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  refused record;
  problem record;
  event json;
begin
  select s.ordinal, s.error into refused
  from postrider.store_events(events, by_service => false) as s
  where s.error is not null
  order by s.ordinal limit 1;
  if refused.error is null then
    return;
  end if;
  select * into problem from postrider.publish_problem(refused.error);
  event := events -> (refused.ordinal - 1);
  raise exception '% is attached to Postrider, which refuses an event of it: %: %', source, refused.error, problem.message
    using errcode = '22023', column = problem.field, hint = problem.hint,
      detail = format('Event %s of tenant %s.', event ->> 'type', coalesce(event ->> 'tenant', '(null)'));
end
$$;
comment on function postrider.publish_rows(json, text) is
  'Publishes the changes of an attached table, a JSON array as of publish_many, in the transaction that makes them. source: the name of the table, for the error. Raises 22023 when one of them is refused, so that the change is not made either.';

create or replace function postrider.with_previous(data json, before json) returns json
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select (rtrim(left(rtrim(with_previous.data::text), -1))
    || case when with_previous.data::text ~ '^\s*\{\s*\}\s*$' then '' else ',' end
    || '"previous":{' || coalesce(string_agg(to_json(o.key)::text || ':' || o.value::text, ','), '') || '}}')::json
  from json_each(before) as o
  join json_each(with_previous.data) as n on n.key = o.key
  where o.value::text is distinct from n.value::text
$$;
comment on function postrider.with_previous(json, json) is
  'The object with a member previous: of the object before, the members whose values differ.';
