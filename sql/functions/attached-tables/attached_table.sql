-- attached_table: the tables that publish by themselves, and what is wrong with each.
--
-- Read by monitoring, so nothing here evaluates or analyzes what owners of tables have written; and by
-- owners of tables, who see theirs (the policies of attachment and backfill). Names are looked up in the catalog, since
-- to_regclass() raises for a schema that one may not use.

create or replace function postrider.relation_named(schema text, name text) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = relation_named.schema and c.relname = relation_named.name
$$;
comment on function postrider.relation_named(text, text) is 'A relation by schema and name, whatever this role can use; null = there is none.';

-- Everybody can make a trigger that names this attachment, on a table of theirs: under another name than the one that was
-- attached, a table counts if its function belongs to who attached it.
create or replace function postrider.attached_relation(a postrider.attachment) returns oid
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    (select t.relation
     from postrider.attached_triggers() t
     join pg_class c on c.oid = t.relation
     join pg_proc p on p.oid = t.function
     cross join lateral (
       select pg_get_userbyid(p.proowner) = a.owner and postrider.attached_settings(p.oid) ->> 'id' = a.id::text) as own (is_written)
     where t.attachment_id = a.id::text and not c.relispartition and not t.is_of_part
       and (own.is_written or c.oid = postrider.relation_named(a.table_schema, a.table_name))
     order by own.is_written desc, c.oid limit 1),
    postrider.relation_named(a.table_schema, a.table_name))
$$;
comment on function postrider.attached_relation(postrider.attachment) is
  'The table: the one with the triggers, also under a new name; without triggers the one with its name. Null = it is gone.';

create or replace function postrider.trigger_problem(a postrider.attachment, relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
      when t.enabled is null then format('%s on %s is gone', w.name, r)
      when t.enabled = 'D' then format('%s on %s is disabled', w.name, r)
      else format('%s on %s fires in sessions of replication only', w.name, r) end
  from postrider.attached_relations(relation) as r
  cross join lateral (select 'postrider_' || o from unnest(postrider.attached_operations(a.events)) as o) as w (name)
  left join postrider.attached_triggers() t
    on t.relation = r and t.trigger_name = w.name and t.attachment_id = a.id::text
  where t.enabled is null or t.enabled in ('D', 'R')
  order by r::text, w.name limit 1
$$;
comment on function postrider.trigger_problem(postrider.attachment, oid) is
  'Which trigger of an attached table, or of one of its partitions, is gone or does not fire; null = none.';

create or replace function postrider.function_problem(a postrider.attachment, relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
      when p.proowner <> c.relowner
        then format('%s belongs to %s, and the table to %s', p.oid::regprocedure, pg_get_userbyid(p.proowner), pg_get_userbyid(c.relowner))
      when not p.prosecdef or postrider.attached_settings(p.oid) ->> 'id' is distinct from a.id::text
        then format('%s was changed', p.oid::regprocedure)
      when not has_schema_privilege(p.proowner, 'postrider', 'usage')
        or not has_function_privilege(p.proowner, 'postrider.publish_rows(json, text)', 'execute')
        then format('%s cannot publish: grant postrider_producer to %1$s', pg_get_userbyid(p.proowner)) end
  from postrider.attached_triggers() t
  join pg_class c on c.oid = t.relation
  join pg_proc p on p.oid = t.function
  where t.attachment_id = a.id::text and t.relation = function_problem.relation
  limit 1
$$;
comment on function postrider.function_problem(postrider.attachment, oid) is
  'What is wrong with the trigger function of an attached table, or with the rights of its owner; null = nothing.';

create or replace function postrider.column_problem(a postrider.attachment, relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    (select format('column %I is gone, and every write fails', w.name)
     from unnest(a.columns) as w (name)
     where w.name <> '' and not exists (
       select from pg_attribute c where c.attrelid = relation and c.attname = w.name and c.attnum > 0 and not c.attisdropped)
     order by 1 limit 1),
    (select format('virtual generated column %I is null in what is published', c.attname)
     from pg_attribute c
     where c.attrelid = relation and c.attgenerated = 'v' and not c.attisdropped
       and (a.data is null or c.attname = any (a.columns) or '' = any (a.columns))
     order by 1 limit 1))
$$;
comment on function postrider.column_problem(postrider.attachment, oid) is
  'Which column of an attached table is gone, or cannot be read by a trigger; null = none.';

-- attach() refuses such tables, but they can become that afterwards.
create or replace function postrider.inheritance_problem(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select format('%s inherits from %s, and what is written to one of them by its name is not seen by the triggers of the other',
    h.inhrelid::regclass, h.inhparent::regclass)
  from pg_inherits h
  join pg_class c on c.oid = inheritance_problem.relation
  where h.inhrelid = c.oid and not c.relispartition or h.inhparent = c.oid and c.relkind = 'r'
  order by h.inhrelid::regclass::text, h.inhparent::regclass::text limit 1
$$;
comment on function postrider.inheritance_problem(oid) is
  'Which other table an attached table has become a parent or a child of, other than by partitions; null = none.';

create or replace function postrider.key_problem(a postrider.attachment, relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select 'its primary key is gone or another one, so updates pair the wrong rows'
  from postrider.attached_functions(relation) f join pg_proc p on p.oid = f.function
  where 'updated' = any (a.events) and f.attachment_id = a.id::text
    and coalesce(strpos(p.prosrc, format(' on (%s) and ', postrider.paired_by(relation))), 0) = 0
$$;
comment on function postrider.key_problem(postrider.attachment, oid) is
  'Whether an attached table has another primary key than the one that its trigger function pairs rows by; null = no.';

create or replace function postrider.attachment_problem(a postrider.attachment) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation constant oid := postrider.attached_relation(a);
begin
  if relation is null then
    return 'the table is gone';
  end if;
  return coalesce(
    postrider.trigger_problem(a, relation), postrider.function_problem(a, relation), postrider.column_problem(a, relation),
    postrider.key_problem(a, relation), postrider.inheritance_problem(relation));
end
$$;
comment on function postrider.attachment_problem(postrider.attachment) is
  'Why an attached table does not publish, or cannot be written to, in words; null = it publishes.';

create or replace view postrider.attached_table as
select a.id, format('%I.%I', coalesce(n.nspname::text, a.table_schema), coalesce(c.relname::text, a.table_name)) as "table",
  a.type, a.tenant, a.data, a.ordering_key, a."when", a.previous, a.events, postrider.attachment_problem(a) as problem,
  a.owner, a.attached_by, a.attached_at
from postrider.attachment a
left join pg_catalog.pg_class c on c.oid = postrider.attached_relation(a)
left join pg_catalog.pg_namespace n on n.oid = c.relnamespace;
comment on view postrider.attached_table is
  'The tables that publish automatically (attach); producers see their own. Cost: some look-ups in the catalog for each, 1 ms.';
comment on column postrider.attached_table.id is 'UUIDv7; the triggers name it.';
comment on column postrider.attached_table."table" is 'The table, with its schema, by the name that it has now.';
comment on column postrider.attached_table.type is 'Its events are type.created, type.updated and type.deleted.';
comment on column postrider.attached_table.tenant is 'Column or expression: whose row it is.';
comment on column postrider.attached_table.data is 'List of columns, a column or an expression: the data of the event; null = all columns.';
comment on column postrider.attached_table.ordering_key is 'Column or expression: the ordering key of the event; null = none.';
comment on column postrider.attached_table."when" is 'Column or expression: whether a change is published; null = an update whose data changed, and all the others.';
comment on column postrider.attached_table.previous is 'Whether updates carry the old values of what changed.';
comment on column postrider.attached_table.events is 'Which of created, updated and deleted are published.';
comment on column postrider.attached_table.problem is 'Why it does not publish, or cannot be written to; null = it publishes.';
comment on column postrider.attached_table.owner is 'The owner of the table when it was attached.';
comment on column postrider.attached_table.attached_by is 'Who attached it last.';
comment on column postrider.attached_table.attached_at is 'When that was.';
