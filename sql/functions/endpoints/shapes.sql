-- Shapes: what an endpoint is sent of an event, as its setting `shape` says. The default's bytes are those of postrider.body().
--
--   standard             {"type", "timestamp", "data"}                             (Standard Webhooks)
--   raw                  the data alone
--   thin                 {"id", "type", "timestamp", "link"}; the sender adds the link, which it signs (src/sending/thin-link.ts)
--   fields               standard, with the members of the data that shape_fields names
--   cloudevents          CloudEvents 1.0, structured
--   cloudevents-binary   CloudEvents 1.0, binary: the data alone, the rest in headers
--   slack, teams, discord   a message made of shape_template
--   svix                 the data alone; the sender adds the headers that Svix sends (src/sending/signature-headers.ts)
--
-- The one place where bodies are made: what is claimed, shown, streamed and verified by hand comes from here. Null where the
-- data was erased. Text is put together as text, so that the data keeps its bytes.
create or replace function postrider.event_source(endpoint postrider.endpoint) returns text
language sql immutable parallel safe
return 'urn:uuid:' || endpoint.tenant_id;
comment on function postrider.event_source(postrider.endpoint) is
  'source of CloudEvents: the tenant. With id it is unique, as CloudEvents ask.';

create or replace function postrider.special_body(
  endpoint postrider.endpoint, id uuid, type text, occurred_at timestamptz, data json
) returns text
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  at constant text := to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"');
  message text;
begin
  if data is null then
    return null;
  end if;
  case endpoint.shape
    when 'thin' then
      return format('{"id":"%s","type":%s,"timestamp":"%s"}', id, to_json(type), at);
    when 'fields' then
      return postrider.body(type, occurred_at, coalesce(
        postrider.picked(data, postrider.paths_of(endpoint.shape_fields)), '{}')::json);
    when 'cloudevents' then
      return format(
        '{"specversion":"1.0","id":"%s","source":"%s","type":%s,"time":"%s","datacontenttype":"application/json","data":%s}',
        id, postrider.event_source(endpoint), to_json(type), at, data);
    else
      message := postrider.message(endpoint, id, type, at, data);
      return case endpoint.shape
        when 'slack' then format('{"text":%s}', to_json(message))
        when 'discord' then format('{"content":%s,"allowed_mentions":{"parse":[]}}', to_json(message))
        when 'teams' then format(
          '{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,'
          '"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4",'
          '"body":[{"type":"TextBlock","text":%s,"wrap":true}]}}]}', to_json(message)) end;
  end case;
end
$$;
comment on function postrider.special_body(postrider.endpoint, uuid, text, timestamptz, json) is
  'shaped_body() of the shapes that take more than putting pieces together.';

-- Events that came through the Svix-compatible API reach the default shape as Svix would send them; endpoints with
-- another shape, or with batches, are sent what they ask for.
create or replace function postrider.shape_for(endpoint postrider.endpoint, as_svix boolean) returns text
language sql immutable parallel safe
return case when as_svix and endpoint.shape = 'standard' and endpoint.batch_bounds is null
  then 'svix' else endpoint.shape end;
comment on function postrider.shape_for(postrider.endpoint, boolean) is
  'The shape in which the endpoint is sent an event: its own, or svix in place of standard where the event was published through the Svix-compatible API.';

create or replace function postrider.shaped_body(
  endpoint postrider.endpoint, id uuid, type text, occurred_at timestamptz, data json, as_svix boolean
) returns text
language sql stable parallel safe
return case postrider.shape_for(endpoint, as_svix)
  when 'standard' then postrider.body(type, occurred_at, data)
  when 'raw' then data::text
  when 'cloudevents-binary' then data::text
  when 'svix' then data::text
  else postrider.special_body(endpoint, id, type, occurred_at, data) end;
comment on function postrider.shaped_body(postrider.endpoint, uuid, text, timestamptz, json, boolean) is
  'The body that the endpoint is sent of an event; null where its data was erased. Of the shape thin without the link, which the sender adds.';

-- Headers of a shape, in small letters; those that are not among them are as always.
create or replace function postrider.shape_headers(
  endpoint postrider.endpoint, id uuid, type text, occurred_at timestamptz
) returns jsonb
language sql stable parallel safe
return case endpoint.shape
  when 'cloudevents' then '{"content-type":"application/cloudevents+json; charset=utf-8"}'::jsonb
  when 'cloudevents-binary' then jsonb_build_object(
    'ce-specversion', '1.0', 'ce-id', id, 'ce-source', postrider.event_source(endpoint), 'ce-type', type,
    'ce-time', to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) end;
comment on function postrider.shape_headers(postrider.endpoint, uuid, text, timestamptz) is
  'Headers that the shape of the endpoint adds or replaces; null = none.';

-- path_steps: $.a."b c"[0] or data.a[0] as the steps that json operators take. What it begins with is not looked at. A path that
-- was read in part would lead to more than it says: data["a"] to all of the data.
create or replace function postrider.path_steps(path text) returns text[]
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select case when path ~ '^[^.[]*(\."[^"\\]*"|\.[^."\[\]\s]+|\[\d+\])*$' then (
    select coalesce(array_agg(coalesce(m[1], m[2], m[3])), '{}')
    from regexp_matches(path, '\."([^"\\]*)"|\.([^."\[\]\s]+)|\[(\d+)\]', 'g') as m) end
$$;
comment on function postrider.path_steps(text) is
  'The steps of a path into the data, as the operators #> and #>> take them; null where it cannot be read to its end.';

create or replace function postrider.paths_of(paths text[]) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(to_jsonb(s.steps) order by p.nth), '[]')
  from unnest(paths) with ordinality as p (path, nth)
  cross join lateral (select postrider.path_steps(p.path) as steps) as s
  where s.steps is not null
$$;
comment on function postrider.paths_of(text[]) is
  'The steps of each path that can be read, as picked() takes them.';

-- members: of an object by name, where one is there twice the last; of an array by number. An operator reads the whole value
-- for each of them, 2 s for 150 names and 200 KB, so more than a few are got in one pass.
create or replace function postrider.members(data json, names text[]) returns table (name text, value json)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
begin
  if json_typeof(data) = 'object' then
    return query
    select distinct on (m.key) m.key, m.value
    from json_each(data) with ordinality as m (key, value, nth)
    where m.key = any (names)
    order by m.key, m.nth desc;
  elsif json_typeof(data) = 'array' then
    return query
    select w.step, m.value
    from (select s, case when s ~ '^\d{1,9}$' then s::bigint + 1 end from unnest(names) as s) as w (step, nth)
    join json_array_elements(data) with ordinality as m (value, nth) on m.nth = w.nth;
  end if;
end
$$;
comment on function postrider.members(json, text[]) is
  'The members of an object or array at these steps of paths, each with the bytes that it has.';

-- values_at: each level of the value is read once, however many paths lead through it.
create or replace function postrider.values_at(data json, paths jsonb, at text[] default '{}')
returns table (path text[], value json)
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  depth_max constant int := 10;
begin
  if exists (select from jsonb_array_elements(paths) as p where jsonb_array_length(p) = 0) then
    path := at;
    value := data;
    return next;
  end if;
  if cardinality(at) < depth_max then
    return query
    select found.path, found.value
    from (
      select p ->> 0 as step, jsonb_agg(p - 0) as rest from jsonb_array_elements(paths) as p
      where jsonb_array_length(p) > 0 group by 1
    ) as steps
    join postrider.members(data, array(select distinct p ->> 0 from jsonb_array_elements(paths) as p)) as m on m.name = steps.step
    cross join lateral postrider.values_at(m.value, steps.rest, at || steps.step) as found;
  end if;
end
$$;
comment on function postrider.values_at(json, jsonb, text[]) is
  'What is at paths (arrays of steps), by path; without paths where nothing is, or of more than 10 steps.';

-- picked: a value with those members only that paths (arrays of steps) lead to, each with the bytes that it has: those of an
-- object in the order of the paths, those of an array in the order that they have there. What is not there is left out; null where nothing is there.
create or replace function postrider.picked(data json, paths jsonb) returns text
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  is_object constant boolean := json_typeof(data) = 'object';
  known jsonb;
  chosen_members text;
begin
  if exists (select from jsonb_array_elements(paths) as p where jsonb_array_length(p) = 0) then
    return data::text;
  end if;
  if not is_object and json_typeof(data) <> 'array' then
    return null;
  end if;
  if not is_object or jsonb_array_length(paths) > 3 then -- of few, an operator for each costs less
    select coalesce(jsonb_object_agg(m.name, m.value::text), '{}') into known
    from postrider.members(data, array(select distinct p ->> 0 from jsonb_array_elements(paths) as p)) as m;
  end if;
  select string_agg(case when is_object then to_json(chosen.step)::text || ':' else '' end || chosen.value, ','
    order by case when is_object then chosen.nth else chosen.step::bigint end)
  into chosen_members
  from (
    select steps.step, steps.nth,
      postrider.picked(case when known is null then data -> steps.step else (known ->> steps.step)::json end, steps.rest) as value
    from (
      select p.steps ->> 0 as step, min(p.nth) as nth, jsonb_agg(p.steps - 0 order by p.nth) as rest
      from jsonb_array_elements(paths) with ordinality as p (steps, nth)
      group by 1
    ) as steps
  ) as chosen
  where chosen.value is not null;
  return case when is_object then '{' || chosen_members || '}' else '[' || chosen_members || ']' end;
end
$$;
comment on function postrider.picked(json, jsonb) is
  'The value with those members only that the paths point to, [["a","b"],["c"]]; null where none is there.';

-- message: the template with what stands in {{…}} replaced: type, id, timestamp, data, data.amount, data.items[0].name. Values
-- are cut, and what Slack would read as a mention or link in one is taken for text. Chats refuse an empty message: of nothing but
-- values that an event does not have it is the type.
create or replace function postrider.message(
  endpoint postrider.endpoint, id uuid, type text, at text, data json
) returns text
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  rest text := coalesce(endpoint.shape_template, '{{type}} {{data}}');
  message text := '';
  start int;
  length_max constant int := case endpoint.shape when 'discord' then 2000 else 4000 end;
  few constant int := 3;
  steps_max constant int := 10; -- as in values_at()
  -- By path, of all that the template names; null where these are few, and an operator for each costs less. To that a step
  -- such as -1 is the last of an array.
  known constant jsonb := case when cardinality(string_to_array(rest, '{{')) > few + 1 or rest ~ '\."?[-+\s]+\d' then (
    select coalesce(jsonb_object_agg(v.path::text, left(v.value #>> '{}', 501)), '{}')
    from postrider.values_at(data, (
      select postrider.paths_of(array_agg(trim(m[1])))
      from regexp_matches(rest, '\{\{(.*?)\}\}', 'g') as m where trim(m[1]) ~ '^data([.[]|$)')) as v) end;
  name text;
  value text;
begin
  loop
    start := strpos(rest, '{{');
    exit when start = 0 or strpos(substr(rest, start), '}}') = 0;
    message := message || left(rest, start - 1);
    rest := substr(rest, start + 2);
    name := trim(left(rest, strpos(rest, '}}') - 1));
    rest := substr(rest, strpos(rest, '}}') + 2);
    value := case
      when name = 'type' then type
      when name = 'id' then id::text
      when name = 'timestamp' then at
      when name !~ '^data([.[]|$)' or cardinality(postrider.path_steps(name)) > steps_max then null
      when known is null then data #>> postrider.path_steps(name)
      else known ->> postrider.path_steps(name)::text end;
    value := postrider.shortened(coalesce(value, ''), 500);
    message := message || case
      when endpoint.shape = 'slack' then replace(replace(replace(value, '&', '&amp;'), '<', '&lt;'), '>', '&gt;')
      else value end;
  end loop;
  message := message || rest;
  return case when message ~ '^\s*$' then type else postrider.shortened(message, length_max) end;
end
$$;
comment on function postrider.message(postrider.endpoint, uuid, text, text, json) is
  'The text that a chat is sent of an event: the template of the endpoint with values of the event in it.';

create or replace function postrider.shortened(value text, length_max int) returns text
language sql immutable parallel safe
return case when length(value) > length_max then left(value, length_max - 1) || '…' else value end;
comment on function postrider.shortened(text, int) is 'The text, or as much of its beginning as has this length with an ellipsis.';
