-- Data of events as people are shown it: what event_type.mask names is replaced.
--
-- Receivers get the data as it was published, and so does anyone who reads postrider.event in SQL. The API and the console
-- read, and search, through these functions.
-- Cost: a lookup of the type; for types with a mask, a conversion of the data to jsonb for each path.

create or replace function postrider.mask_path(value jsonb, path text[]) returns jsonb
language plpgsql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  name text := path[1];
begin
  if cardinality(path) = 0 then
    return '"***"';
  end if;
  if jsonb_typeof(value) = 'array' then
    return coalesce((
      select jsonb_agg(postrider.mask_path(e.value, path) order by e.ordinality)
      from jsonb_array_elements(value) with ordinality as e), '[]');
  end if;
  if jsonb_typeof(value) <> 'object' or not value ? name then
    return value;
  end if;
  return value || jsonb_build_object(name, postrider.mask_path(value -> name, path[2:]));
end
$$;
comment on function postrider.mask_path(jsonb, text[]) is
  'The value with *** in place of the member that the path points to, in every element of an array; an empty path is all of it.';

create or replace function postrider.masked(type text, data json) returns json
language plpgsql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  paths text[] := (select t.mask from postrider.event_type t where t.name = masked.type);
  shown jsonb;
  path text;
begin
  if data is null or coalesce(cardinality(paths), 0) = 0 then
    return data;
  end if;
  shown := data::jsonb;
  foreach path in array paths loop
    shown := postrider.mask_path(shown, case path when '*' then '{}'::text[] else string_to_array(path, '.') end);
  end loop;
  return shown::json;
end
$$;
comment on function postrider.masked(text, json) is
  'The data of an event of this type as people are shown it: what event_type.mask names is ***; otherwise as it was published.';

create or replace function postrider.is_masked(type text) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((select cardinality(t.mask) > 0 from postrider.event_type t where t.name = is_masked.type), false)
$$;
comment on function postrider.is_masked(text) is 'Whether something in the data of events of this type is masked.';
