-- What schemas an event type has had: receivers are shown them in the catalogue.

-- A change locks the row of the type, so that no two take the same number.
create or replace function postrider.note_schema() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  kept constant int := 20;
  latest int := coalesce((select max(v.version) from postrider.event_type_version v where v.name = new.name), 0);
begin
  insert into postrider.event_type_version (name, version, schema) values (new.name, latest + 1, new.schema);
  delete from postrider.event_type_version v where v.name = new.name and v.version <= latest + 1 - kept;
  return null;
end
$$;
comment on function postrider.note_schema() is
  'Trigger: keeps each schema of an event type, and the newest 20 of them.';

create or replace trigger note_first_schema after insert on postrider.event_type
  for each row when (new.schema is not null) execute function postrider.note_schema();
create or replace trigger note_schema after update of schema on postrider.event_type
  for each row when (new.schema::text is distinct from old.schema::text) execute function postrider.note_schema();
