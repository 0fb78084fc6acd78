-- attach: a table publishes what changes in it, in the transaction that changes it.
--
-- Triggers after each statement, for insert, update and delete, hand all rows of the statement to one function, which is
-- written here for the table: it reads the rows out of the transition tables and calls publish_rows() with up to 1,000
-- events at a time. A fourth one refuses truncate, which shows nobody the rows that it removes.
--
-- Rights. What people give as expressions runs whenever somebody writes to the table, so it must run with no more rights
-- than who gave it has. The function belongs to the owner of the table and runs with the owner's rights (security
-- definer): writers of the table need no right on Postrider, and its expressions can read and do nothing that the owner
-- cannot. attach() and detach() have the rights of who calls them, so Postgres itself refuses anyone who does not own the
-- table. Nothing here evaluates an expression: Postgres only analyzes them, so an administrator who attaches a table of
-- another role runs no code of theirs.
--
-- The triggers and the function are the truth. postrider.attachment is a copy that only note_attachment() writes, out of
-- the catalog, so nobody can give it something false; it is there to notice when the triggers are gone.
--
-- What is written into the trigger functions is not rewritten by a release: publish_rows() and with_previous() keep their
-- signatures.
-- Locks: share row exclusive on the table: waits for its writers, and writers wait until the transaction ends. So a write
--        either was committed before, or is published.

create or replace function postrider.attached_triggers()
returns table (attachment_id text, relation oid, trigger_name name, enabled "char", function oid, is_of_part boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select split_part(encode(t.tgargs, 'escape'), E'\\000', 1), t.tgrelid, t.tgname, t.tgenabled, t.tgfoid, t.tgnargs = 2
  from pg_trigger t
  where t.tgname in ('postrider_insert', 'postrider_update', 'postrider_delete', 'postrider_truncate')
    and t.tgnargs in (1, 2)
$$;
comment on function postrider.attached_triggers() is
  'The triggers by which tables publish. attachment_id: what the trigger says, as text, since everybody can make one. is_of_part: it was written for a partition, which can be a separate table by now.';

create or replace function postrider.attached_settings(function oid) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
  return substring(obj_description(function, 'pg_proc') from 'postrider\.attach: (\{.*\})$')::jsonb;
exception when data_exception then
  return null;
end
$$;
comment on function postrider.attached_settings(oid) is
  'What attach() was given, as the comment of the trigger function says; null = nothing readable.';

create or replace function postrider.settings_of(a postrider.attachment) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
return to_jsonb(a) - '{table_schema,table_name,owner,attached_by,attached_at}'::text[];
comment on function postrider.settings_of(postrider.attachment) is
  'What attach() was given, with the id of the attachment and the columns that are read by name.';

-- Everybody can name any id and any function in a trigger of theirs. Only the owner of the table can write a function that
-- belongs to the owner of the table.
create or replace function postrider.attached_functions(relation oid)
returns table (attachment_id text, function oid)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select distinct t.attachment_id, t.function
  from postrider.attached_triggers() t
  join pg_class c on c.oid = t.relation
  join pg_proc p on p.oid = t.function and p.proowner = c.relowner
  where t.relation = attached_functions.relation and not t.is_of_part
    and postrider.attached_settings(t.function) ->> 'id' = t.attachment_id
$$;
comment on function postrider.attached_functions(oid) is
  'The function that attach() wrote for this table, and the id of the attachment; none for a partition.';

-- A key without overlaps has an index of another kind (GiST), whose third operator is not equality: its columns are of types
-- whose operators are Postgres' own.
create or replace function postrider.primary_key_of(relation oid)
returns table (column_name name, type text, operators name, equals text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select a.attname, format_type(a.atttypid, a.atttypmod), coalesce(n.nspname, 'pg_catalog'),
    format('operator(%I.%s)', coalesce(n.nspname, 'pg_catalog'), coalesce(o.oprname, '='))
  from pg_index i
  cross join lateral unnest(i.indkey::int2[], i.indclass::oid[]) with ordinality as k (attnum, opclass, nth)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
  join pg_opclass c on c.oid = k.opclass
  left join pg_amop m on m.amopfamily = c.opcfamily and m.amoplefttype = c.opcintype and m.amoprighttype = c.opcintype
    and m.amopmethod = (select am.oid from pg_am am where am.amname = 'btree') and m.amopstrategy = 3
  left join pg_operator o on o.oid = m.amopopr
  left join pg_namespace n on n.oid = o.oprnamespace
  where i.indrelid = relation and i.indisprimary and k.nth <= i.indnkeyatts
  order by k.nth
$$;
comment on function postrider.primary_key_of(oid) is
  'Columns of the primary key in order, with their types, and the schema and full name of the operator by which they are equal.';

create or replace function postrider.paired_by(relation oid) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select string_agg(format('new.%1$I %2$s old.%1$I', k.column_name, k.equals), ' and ') from postrider.primary_key_of(relation) as k
$$;
comment on function postrider.paired_by(oid) is
  'The condition, as SQL, by which an old and a new row of an update are the same row; null = no primary key.';

create or replace function postrider.attachment_of(relation oid) returns postrider.attachment
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_populate_record(null::postrider.attachment, postrider.attached_settings(f.function))
  from postrider.attached_functions(relation) f
  limit 1
$$;
comment on function postrider.attachment_of(oid) is 'The settings with which a table is attached, as its trigger function says; null = it is not.';

-- refuse_to_attach: raise, with what to do about it, when the table cannot be attached, or not by this role.
create or replace function postrider.refuse_to_attach(relation regclass, a postrider.attachment) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  c record;
  refusal text[];
begin
  select p.*, n.nspname, pg_get_userbyid(p.relowner) as owner into c
  from pg_class p join pg_namespace n on n.oid = p.relnamespace where p.oid = relation;
  refusal := case
    when c.nspname in ('postrider', 'graphile_worker', 'pg_catalog', 'information_schema')
      then array['0A000', 'is not a table of yours', 'Attach tables of your own programs.']
    when c.relkind in ('v', 'm')
      then array['0A000', 'is a view', 'Attach the tables that it reads.']
    when c.relkind = 'f'
      then array['0A000', 'is a foreign table', 'Attach it in the database where its rows are stored.']
    when c.relkind not in ('r', 'p')
      then array['0A000', 'is not a table', 'Attach a table.']
    when not pg_has_role(current_user, c.relowner, 'usage')
      then array['42501', 'belongs to ' || c.owner, format('Attach it as that role, or as a member of it: set role %I', c.owner)]
    when c.relpersistence = 't'
      then array['0A000', 'is a temporary table', 'It ends with its session; publish from your program.']
    when c.relispartition
      then array['0A000', 'is a partition', format('Attach the table that it is part of: %s', pg_partition_root(relation))]
    when exists (select from pg_inherits h where h.inhrelid = relation)
      or c.relkind = 'r' and exists (select from pg_inherits h where h.inhparent = relation)
      then array['0A000', 'is part of an inheritance', 'A statement on one of its tables shows the triggers of the others nothing. Use partitions.']
    when 'updated' = any (a.events) and not exists (select from postrider.primary_key_of(relation))
      then array['0A000', 'has no primary key, so which row became which cannot be known', 'Add one, or give events => ''{created,deleted}''.']
    when a.data is null and exists (select from pg_attribute v where v.attrelid = relation and v.attgenerated = 'v')
      then array['0A000', 'has a virtual generated column, which triggers do not see', 'Name the columns in data, or make it a stored one.']
    when not has_schema_privilege(c.relowner, 'postrider', 'usage')
      or not has_function_privilege(c.relowner, 'postrider.publish_rows(json, text)', 'execute')
      then array['42501', format('belongs to %s, which cannot publish', c.owner), format('grant postrider_producer to %I', c.owner)]
    when not has_schema_privilege(c.relowner, c.nspname, 'create')
      then array['42501', format('belongs to %s, which cannot create a function in its schema', c.owner),
        format('grant create on schema %I to %I', c.nspname, c.owner)]
  end;
  if refusal is not null then
    raise exception '% %', relation, refusal[2] using errcode = refusal[1], hint = refusal[3];
  end if;
end
$$;
comment on function postrider.refuse_to_attach(regclass, postrider.attachment) is
  'Raises, with the remedy in HINT, when the table cannot be attached with these settings, or not by this role.';

create or replace function postrider.refuse_settings(a postrider.attachment) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  refusal text[];
begin
  refusal := case
    when a.type is null or a.type !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' or length(a.type) > 119
      then array['type', 'is not a dotted name of at most 119 characters', 'Such as invoice, for invoice.created, invoice.updated and invoice.deleted.']
    when starts_with(a.type || '.', 'postrider.')
      then array['type', 'begins with postrider., which is for the service itself', 'Choose another name.']
    when coalesce(a.tenant, '') = ''
      then array['tenant', 'is missing', 'Give the column, or the expression, that says whose row it is: the key of the tenant.']
    when a.events is null or cardinality(a.events) = 0 or not a.events <@ '{created,updated,deleted}'
      then array['events', 'are not some of created, updated and deleted', 'Leave it out for all three.']
    when a.previous and a.data !~ '^\s*\{'
      then array['previous', 'goes with columns, and data is an expression', 'Name the columns, or put what you need of old into the expression.']
  end;
  if refusal is not null then
    raise exception '% %', refusal[1], refusal[2] using errcode = '22023', column = refusal[1], hint = refusal[3];
  end if;
end
$$;
comment on function postrider.refuse_settings(postrider.attachment) is
  'Raises 22023, with the argument in COLUMN, for what attach() was given and that no table fits.';

create or replace function postrider.attached_columns(relation oid, list text) returns name[]
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  wanted text[];
  found name[];
  lacking text;
begin
  wanted := list::text[];
  found := array(
    select a.attname from unnest(wanted) with ordinality as w (name, nth)
    join pg_attribute a on a.attrelid = relation and a.attname = w.name and a.attnum > 0 and not a.attisdropped
    order by w.nth);
  select w into lacking from unnest(wanted) as w where w <> all (found);
  if lacking is not null or cardinality(wanted) = 0 then
    raise exception 'data: % has no column %', relation::regclass, coalesce(quote_ident(lacking), '{}')
      using errcode = '42703', column = 'data', hint = 'Name the columns as in {id, status}.';
  end if;
  return found;
exception when invalid_text_representation or null_value_not_allowed then
  raise exception 'data is no list of columns: %', list
    using errcode = '22023', column = 'data', hint = 'Name the columns as in {id, status}.';
end
$$;
comment on function postrider.attached_columns(oid, text) is
  'The columns of a list such as {id, status}. Raises 42703 for one that the table does not have.';

create or replace function postrider.attached_expression(relation oid, given text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    (select format('new.%I', a.attname) from pg_attribute a
     where a.attrelid = relation and a.attname = btrim(given) and a.attnum > 0 and not a.attisdropped),
    -- The line end closes a comment at the end of what was given.
    '(' || given || e'\n)')
$$;
comment on function postrider.attached_expression(oid, text) is
  'An expression of attach() as SQL: a column of the row, or what was given.';

-- check_expression: a trigger whose condition is the expression, made and taken back. Postgres then says what it says of
-- such conditions: no sub-select, no aggregate, no set, only columns of new and old; and it notes which columns.
create or replace function postrider.check_expression(relation regclass, setting text, given text) returns name[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  expression constant text := postrider.attached_expression(relation, given);
  condition constant text := case setting
    when 'when' then expression
    when 'data' then format('to_json(%s) is not null', expression)
    else format('(%s)::text is not null', expression) end;
  used name[];
begin
  if strpos(given, ';') > 0 then
    raise exception '%: an expression holds no semicolon', setting using errcode = '42601', column = setting,
      hint = 'Put it into a function, and call that.';
  end if;
  begin
    execute format('create trigger postrider_check after update on %s for each row when (%s) execute function %s()',
      relation, condition, 'pg_catalog.suppress_redundant_updates_trigger');
    used := array(
      select distinct a.attname
      from pg_trigger t
      join pg_depend d on d.classid = 'pg_trigger'::regclass and d.objid = t.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid = t.tgrelid
      join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      where t.tgrelid = relation and t.tgname = 'postrider_check' and a.attnum > 0
      -- Of a whole row Postgres notes no column. In a node, white space of names is escaped.
      union all
      select '' from pg_trigger t
      where t.tgrelid = relation and t.tgname = 'postrider_check' and t.tgqual::text ~ ' :varattno 0 ');
    raise exception using errcode = 'PR000';
  exception
    when sqlstate 'PR000' then
      null;
    when syntax_error_or_access_rule_violation or feature_not_supported or data_exception then
      raise exception '%: %', setting, sqlerrm using errcode = sqlstate, column = setting,
        hint = 'Give the name of a column, or an SQL expression over new and old, such as new.status. Functions that are not part of Postgres need their schema.';
  end;
  return used;
end
$$;
comment on function postrider.check_expression(regclass, text, text) is
  'The columns that an expression of attach() reads; an empty name: all, in new or old as a whole. Raises what is wrong with it, and the setting in COLUMN; evaluates nothing.';

-- attached_data: what becomes data, read from the row with this alias; null where data is an expression.
create or replace function postrider.attached_data(relation oid, a postrider.attachment, alias text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    when a.data is null then format('row_to_json(%s.*)', alias)
    when a.data ~ '^\s*\{' then (
      select format('(select row_to_json(r.*) from (select %s) as r)', string_agg(format('%s.%I', alias, c.name), ', ' order by c.nth))
      from unnest(postrider.attached_columns(relation, a.data)) with ordinality as c (name, nth))
    else (
      select format('to_json(%s.%I)', alias, c.attname) from pg_attribute c
      where c.attrelid = relation and c.attname = a.data and c.attnum > 0 and not c.attisdropped) end
$$;
comment on function postrider.attached_data(oid, postrider.attachment, text) is
  'SQL of the data of an event, from the row with this alias: all columns, a column, or those of the list; null = an expression.';

-- attached_events: the events of rows that were created or deleted, as SQL: tenant, ordering_key, type, data, one row each.
--
-- Of a deleted row, tenant, ordering key and columns are read as it was, so that who writes new.id need not think of it;
-- when and an expression for data see new and old as they are, and there is no new.
create or replace function postrider.attached_events(relation oid, a postrider.attachment, kind text, source text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select format(
    'select r.tenant, r.ordering_key, %L as type, %s as data from %s cross join lateral ('
      || 'select (%s)::text as tenant, (%s)::text as ordering_key, %s as data from (select %s.*) as new) as r where %s',
    a.type || '.' || kind,
    case when own.data is null then format('to_json(%s)', postrider.attached_expression(relation, a.data)) else 'r.data' end,
    source,
    postrider.attached_expression(relation, a.tenant),
    coalesce(postrider.attached_expression(relation, a.ordering_key), 'null'),
    coalesce(own.data, 'null::json'),
    case kind when 'deleted' then 'old' else 'new' end,
    coalesce(postrider.attached_expression(relation, a."when"), 'true'))
  from postrider.attached_data(relation, a, 'new') as own (data)
$$;
comment on function postrider.attached_events(oid, postrider.attachment, text, text) is
  'SQL of the events that the rows of source, with the aliases new and old, publish: of rows that were created (also under another name) or deleted.';

-- Of text in one collation, so that the planner can hash it and sort it as the key, of which some types do only the latter.
create or replace function postrider.belongs_to_one(relation oid, a postrider.attachment) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select format('coalesce((select (%1$s)::text from (select new.*) as new, (select new.*) as old) collate "C", %2$L)'
    || ' = coalesce((select (%1$s)::text from (select old.*) as new) collate "C", %2$L)',
    postrider.attached_expression(relation, a.tenant), '')
$$;
comment on function postrider.belongs_to_one(oid, postrider.attachment) is
  'The condition, as SQL, by which an old and a new row belong to the same tenant, or to none.';

-- attached_updates: the events of an update, as SQL. A full join, for which Postgres has no plan that compares each row with
-- each: the plan is kept for the session, and may have been made for a statement on one row.
--
-- A row whose primary key has changed has no partner, so it is the end of one row and the beginning of another: only by
-- its key does a receiver know which row an event is about. Nor has one whose tenant has changed: the old tenant has to
-- hear that it is gone, and the new one must not see what it was. Where there was none, nobody has to hear it.
create or replace function postrider.attached_updates(relation oid, a postrider.attachment) returns text
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  pairs constant text := postrider.paired_by(relation);
  key constant text := (select format('%I', k.column_name) from postrider.primary_key_of(relation) as k limit 1);
  data constant text := postrider.attached_data(relation, a, 'new');
  of_row constant text := 'case when new.%1$s is null then (select (%2$s)::text from (select old.*) as new) else (%2$s)::text end';
begin
  return format(
    'select %1$s as tenant, %2$s as ordering_key, '
      || 'case when old.%3$s is null then %4$L when new.%3$s is null then %5$L else %6$L end as type, %7$s as data '
      || 'from new_rows as new full join old_rows as old on (%8$s) and %15$s '
      || 'cross join lateral (select %9$s as now, %10$s as before offset 0) as d '
      || 'where case when old.%3$s is null then %11$L::boolean when new.%3$s is null then %12$L::boolean else %13$L::boolean end and (%14$s) '
      || 'and (new.%3$s is not null or %1$s is not null)',
    format(of_row, key, postrider.attached_expression(relation, a.tenant)),
    format(of_row, key, coalesce(postrider.attached_expression(relation, a.ordering_key), 'null')),
    key, a.type || '.created', a.type || '.deleted', a.type || '.updated',
    case
      when data is null then format('to_json(%s)', postrider.attached_expression(relation, a.data))
      when a.previous then format(
        'case when old.%1$s is null or new.%1$s is null then coalesce(d.now, d.before) else postrider.with_previous(d.now, d.before) end', key)
      else 'coalesce(d.now, d.before)' end,
    pairs,
    case when data is null then 'row_to_json(new.*)' else format('case when new.%s is not null then %s end', key, data) end,
    case when data is null then 'row_to_json(old.*)' else format('case when old.%s is not null then %s end', key, postrider.attached_data(relation, a, 'old')) end,
    'created' = any (a.events), 'deleted' = any (a.events), 'updated' = any (a.events),
    coalesce(postrider.attached_expression(relation, a."when"),
      format('old.%1$s is null or new.%1$s is null or d.now::text is distinct from d.before::text', key)),
    postrider.belongs_to_one(relation, a));
end
$$;
comment on function postrider.attached_updates(oid, postrider.attachment) is
  'SQL of the events that an update publishes, by its transition tables new_rows and old_rows.';

-- attached_batches: the statement of a trigger: JSON arrays of events, a thousand each, in the order in which keys are
-- locked (hold_ordering_keys in events/publish.sql): whatever the collation of the columns, all statements have the same.
-- Of one key, deletions first: what a receiver gets last is then the state of a row that exists.
create or replace function postrider.attached_batches(a postrider.attachment, events text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select format($sql$
      select json_agg(json_build_object('tenant', e.tenant, 'type', e.type, 'data', e.data, 'orderingKey', e.ordering_key) order by e.place)
      from (select e.*, row_number() over (order by %se.type <> %L) - 1 as place from (
        %s
      ) as e) as e
      group by e.place / 1000 order by e.place / 1000$sql$,
    case when a.ordering_key is not null then 'e.tenant collate "C", e.ordering_key collate "C", ' else '' end,
    a.type || '.deleted',
    events)
$$;
comment on function postrider.attached_batches(postrider.attachment, text) is
  'SQL that gathers the events of a statement into JSON arrays of up to 1,000.';

create or replace function postrider.attached_select(relation oid, a postrider.attachment, operation text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case operation
    when 'insert' then postrider.attached_events(relation, a, 'created', 'new_rows as new left join new_rows as old on false')
    when 'update' then postrider.attached_updates(relation, a)
    else postrider.attached_events(relation, a, 'deleted', 'old_rows as old left join old_rows as new on false') end
$$;
comment on function postrider.attached_select(oid, postrider.attachment, text) is
  'SQL of the events that an insert, update or delete publishes, by its transition tables new_rows and old_rows.';

create or replace function postrider.attached_operations(events text[]) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select array_remove(array[
    case when 'created' = any (events) then 'insert' end,
    case when 'updated' = any (events) then 'update' end,
    case when 'deleted' = any (events) then 'delete' end,
    case when 'deleted' = any (events) then 'truncate' end], null)
$$;
comment on function postrider.attached_operations(text[]) is 'The operations that need a trigger for these events.';

-- check_statements: have Postgres analyze what the triggers will run, on the table itself in place of the transition
-- tables: what a condition of a trigger may name and they may not (system columns), and functions that the owner may not call.
create or replace function postrider.check_statements(relation regclass, a postrider.attachment) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  owner constant oid := (select c.relowner from pg_class c where c.oid = relation);
  name constant text := (
    select format('%I.%I', n.nspname, 'postrider_check_' || replace(gen_random_uuid()::text, '-', '')) from pg_class c
    join pg_namespace n on n.oid = c.relnamespace where c.oid = relation);
  operation text;
  forbidden text;
begin
  foreach operation in array array_remove(postrider.attached_operations(a.events), 'truncate') loop
    begin
      execute format(
        'create function %s() returns setof json language sql begin atomic with new_rows as (select * from %s), old_rows as (select * from %s) %s; end',
        name, relation, relation,
        postrider.attached_batches(a, postrider.attached_select(relation, a, operation)));
      select d.refobjid::regprocedure into forbidden
      from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = (name || '()')::regprocedure
        and d.refclassid = 'pg_proc'::regclass
        and not (has_function_privilege(owner, d.refobjid, 'execute')
          and has_schema_privilege(owner, (select p.pronamespace from pg_proc p where p.oid = d.refobjid), 'usage'))
      limit 1;
      raise exception using errcode = 'PR000';
    exception when sqlstate 'PR000' then
      null;
    end;
    if forbidden is not null then
      raise exception 'the owner of % cannot call %', relation, forbidden using errcode = '42501',
        hint = format('The expressions run with the rights of the owner: grant execute on function %s to %I', forbidden, pg_get_userbyid(owner));
    end if;
  end loop;
end
$$;
comment on function postrider.check_statements(regclass, postrider.attachment) is
  'Raises what is wrong with the statements of the triggers of a table; evaluates nothing.';

-- A table that is dropped leaves its function behind, which the next one of its name and owner takes over. Any other that
-- has the usual name already is that of a table which had the name of this one, or of another role.
create or replace function postrider.attached_function_name(relation oid, a postrider.attachment) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(
    (select format('%I.%I', n.nspname, p.proname)
     from postrider.attached_functions(relation) f join pg_proc p on p.oid = f.function join pg_namespace n on n.oid = p.pronamespace
     where f.attachment_id = a.id::text limit 1),
    (select format('%I.%I', n.nspname, p.proname)
     from pg_proc p
     where p.pronamespace = n.oid and starts_with(p.proname, 'postrider_publish_') and p.proowner = c.relowner
       and p.pronargs = 0 and p.prorettype = 'trigger'::regtype
       and starts_with(obj_description(p.oid, 'pg_proc'), format('Publishes what changes in %s. Written by ', c.oid::regclass))
       and not exists (select from pg_trigger t where t.tgfoid = p.oid)
     order by p.proname limit 1),
    format('%I.%I', n.nspname, 'postrider_publish_' || case
      when octet_length(c.relname) <= 40
        and not exists (select from pg_proc p where p.pronamespace = n.oid and p.proname = 'postrider_publish_' || c.relname)
        then c.relname
      else left(c.relname, 6) || '_' || left(md5(a.id::text), 12) end))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = attached_function_name.relation
$$;
comment on function postrider.attached_function_name(oid, postrider.attachment) is
  'The trigger function of an attached table: the one it has, one that a table of its name has left behind, or in its schema one whose name is free.';

create or replace function postrider.written_settings() returns text
language sql immutable
return $settings$set search_path = pg_catalog, pg_temp
set jit = off
set timezone = 'UTC'
set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres'
set extra_float_digits = 1
set bytea_output = 'hex'
set standard_conforming_strings = on
set transform_null_equals = off$settings$;
comment on function postrider.written_settings() is
  'Settings of the functions that are written for a table: times, numbers and bytes look the same in every session.';

-- write_trigger_function: the cursor is opened in a block, so that a column that is gone is an error which says what to do; publishing is outside
-- of it, since what a block writes costs a transaction number.
create or replace function postrider.write_trigger_function(relation regclass, a postrider.attachment, name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  cases text := '';
  operation text;
begin
  foreach operation in array array_remove(postrider.attached_operations(a.events), 'truncate') loop
    cases := cases || format(e'\n    when %L then open changes for%s;', upper(operation),
      postrider.attached_batches(a, postrider.attached_select(relation, a, operation)));
  end loop;
  execute format($function$
create %4$s function %1$s() returns trigger
language plpgsql security definer
%3$s
as %2$L$function$,
    name, format($body$
#variable_conflict use_column
declare
  changes refcursor;
  batch json;
begin
  begin
    case tg_op%1$s
    else
      raise exception '%% is attached to Postrider, and truncate would publish nothing', %2$L
        using errcode = '0A000', hint = 'Delete the rows, or call postrider.detach() first.';
    end case;
  exception when syntax_error_or_access_rule_violation then
    raise exception '%% is attached to Postrider, and its changes cannot be read any more: %%', %2$L, sqlerrm
      using errcode = sqlstate, hint = 'Call postrider.attach() again, with what fits the table now, or postrider.detach().';
  end;
  loop
    fetch changes into batch;
    exit when not found;
    perform postrider.publish_rows(batch, %2$L);
  end loop;
  close changes;
  return null;
end
$body$, cases, relation::text), postrider.written_settings(),
    -- Another role can have taken the name meanwhile: then this fails, instead of giving its function to the owner.
    case when exists (
      select from pg_proc p join pg_class c on c.relowner = p.proowner
      where p.oid = to_regprocedure(name || '()') and c.oid = relation) then 'or replace' else '' end);
  execute format('comment on function %s() is %L', name,
    format('Publishes what changes in %s. Written by postrider.attach: %s', relation, postrider.settings_of(a)));
  execute format('revoke all on function %s() from public', name);
end
$$;
comment on function postrider.write_trigger_function(regclass, postrider.attachment, text) is
  'Writes the trigger function of an attached table, under this name.';

create or replace function postrider.write_triggers(relation regclass, is_part boolean, a postrider.attachment, name text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  operation text;
begin
  foreach operation in array '{insert,update,delete,truncate}'::text[] loop
    if operation = any (postrider.attached_operations(a.events)) then
      execute format('create or replace trigger %I after %s on %s %s for each statement execute function %s(%s)',
        'postrider_' || operation, operation, relation,
        case operation
          when 'insert' then 'referencing new table as new_rows'
          when 'update' then 'referencing new table as new_rows old table as old_rows'
          when 'delete' then 'referencing old table as old_rows'
          else '' end,
        name, case when is_part then format('%L, %L', a.id, 'partition') else format('%L', a.id) end);
    elsif exists (select from postrider.attached_triggers() t where t.relation = write_triggers.relation and t.trigger_name = 'postrider_' || operation) then
      execute format('drop trigger %I on %s', 'postrider_' || operation, relation);
    end if;
  end loop;
end
$$;
comment on function postrider.write_triggers(regclass, boolean, postrider.attachment, text) is
  'Creates, replaces or drops the triggers of an attached table, or those of a partition of it, which say so.';

-- note_attachment: copy into postrider.attachment what the catalog says of a table. The audit log names who calls it, so that
-- is the owner of the table, or a member of that role.
create or replace function postrider.note_attachment(relation regclass) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  a postrider.attachment;
  known postrider.attachment;
begin
  select filled.* into a
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join postrider.attached_functions(c.oid) f
  cross join lateral jsonb_populate_record(null::postrider.attachment, postrider.attached_settings(f.function)
    || jsonb_build_object('table_schema', n.nspname, 'table_name', c.relname, 'owner', pg_get_userbyid(c.relowner))) as filled
  where c.oid = note_attachment.relation and not c.relispartition
  limit 1;
  if a.id is null then
    raise exception '% is not attached', relation using errcode = '55000', hint = 'Call postrider.attach().';
  elsif not pg_has_role(postrider.caller(), a.owner, 'usage') then
    raise exception '% belongs to %', relation, a.owner using errcode = '42501', hint = 'Only its owner attaches it.';
  end if;
  select * into known from postrider.attachment k where k.id = a.id;
  -- Ids can be read by everybody, and a table can take the name of one that was renamed.
  if coalesce(known.owner <> a.owner, false) and ((known.table_schema, known.table_name) <> (a.table_schema, a.table_name)
    or postrider.attached_relation(known) is distinct from relation)
  then
    raise exception '% says that it is attached as another table of another role', relation
      using errcode = '42501', hint = 'Call postrider.detach() for it, then postrider.attach().';
  elsif postrider.settings_of(known) <> postrider.settings_of(a)
    and exists (select from postrider.backfill b where b.attachment_id = a.id and b.finished_at is null) then
    raise exception 'a backfill of % is running, with the earlier settings', relation using errcode = '55000',
      hint = 'Wait until it is done, or cancel it: postrider.cancel_backfill(id).';
  end if;
  a.attached_by := postrider.caller();
  a.attached_at := now();
  -- Also of a table that had this name, and is gone.
  delete from postrider.attachment k
  where k.id = a.id or (k.table_schema, k.table_name) = (a.table_schema, a.table_name)
    and postrider.attached_relation(k) = relation;
  insert into postrider.attachment select a.*;
  perform postrider.audit(null, 'attach', 'table', relation::text, null,
    postrider.settings_of(a) || jsonb_build_object('owner', a.owner));
  return a.id;
end
$$;
comment on function postrider.note_attachment(regclass) is
  'Notes what the triggers of an attached table say, for the list of attached tables; attach() calls it. For the owner of the table, from whom it takes nothing else, so it can be called again.';

create or replace function postrider.forget_attachment(attachment text, "table" text) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  known postrider.attachment;
  owner name;
begin
  select * into known from postrider.attachment k
  where k.id::text = forget_attachment.attachment
    or forget_attachment.attachment is null and format('%I.%I', k.table_schema, k.table_name) = "table";
  if known.id is null then
    return false;
  end if;
  owner := coalesce(
    (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = postrider.attached_relation(known)), known.owner);
  -- Or of who attached it: another table can have its name by now.
  if not (coalesce(pg_has_role(postrider.caller(), to_regrole(quote_ident(owner)), 'usage'), false)
      or coalesce(pg_has_role(postrider.caller(), to_regrole(quote_ident(known.owner)), 'usage'), false)
      or pg_has_role(postrider.caller(), (select n.nspowner from pg_namespace n where n.nspname = 'postrider'), 'usage')) then
    raise exception '% belongs to %', "table", owner using errcode = '42501',
      hint = format('Detach it as that role, or as a member of it: set role %I', owner);
  end if;
  if exists (
    select from postrider.attached_triggers() t
    join pg_proc p on p.oid = t.function and pg_get_userbyid(p.proowner) = known.owner
    where t.attachment_id = known.id::text and t.relation = postrider.attached_relation(known)) then
    raise exception '% still has its triggers', "table" using errcode = '55000', hint = 'Call postrider.detach().';
  end if;
  update postrider.backfill b set state = 'cancelled', finished_at = clock_timestamp()
  where b.attachment_id = known.id and b.finished_at is null;
  delete from postrider.attachment k where k.id = known.id;
  perform postrider.audit(null, 'detach', 'table', format('%I.%I', known.table_schema, known.table_name));
  return true;
end
$$;
comment on function postrider.forget_attachment(text, text) is
  'Takes a table from the list of attached tables; detach() calls it when the triggers are gone. Returns whether it was there.';

create or replace function postrider.attach(
  "table" regclass, type text, tenant text, data text default null, ordering_key text default null,
  "when" text default null, previous boolean default false, events text[] default '{created,updated,deleted}'
) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
-- Functions that it calls for the first time in a session are read by this.
set standard_conforming_strings = on
as $$
declare
  a postrider.attachment;
  name text;
  part regclass;
begin
  a.id := coalesce((postrider.attachment_of("table")).id, postrider.uuidv7());
  a.type := attach.type;
  a.tenant := attach.tenant;
  a.data := nullif(btrim(attach.data), '');
  a.ordering_key := nullif(btrim(attach.ordering_key), '');
  a."when" := nullif(btrim(attach."when"), '');
  a.previous := coalesce(attach.previous, false);
  a.events := attach.events;
  perform postrider.refuse_settings(a);
  perform postrider.refuse_to_attach("table", a);
  a.columns := postrider.columns_read("table", a);
  perform postrider.check_statements("table", a);
  name := postrider.attached_function_name("table", a);
  perform postrider.write_trigger_function("table", a, name);
  for part in select postrider.attached_relations("table") loop
    perform postrider.write_triggers(part, part <> "table", a, name);
  end loop;
  execute format('alter function %s() owner to %I', name,
    (select pg_get_userbyid(c.relowner) from pg_class c where c.oid = "table"));
  return postrider.note_attachment("table");
end
$$;
comment on function postrider.attach(regclass, text, text, text, text, text, boolean, text[]) is
  'Has a table publish type.created, type.updated and type.deleted in the transactions that change it; called again, with other settings. For the owner of the table. tenant, ordering_key, when, data: a column or an SQL expression over new and old; data also a list of columns such as {id, status}, null = all. Without when, an update is published where the data changed. previous: updates carry the old values of what changed. Returns the id of the attachment (postrider.attached_table).';

-- The columns that are read by name, so that one that is gone is found before somebody writes to the table.
create or replace function postrider.columns_read(relation regclass, a postrider.attachment) returns text[]
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  used name[] := '{}';
  hidden text;
begin
  used := used || postrider.check_expression(relation, 'tenant', a.tenant);
  if a.ordering_key is not null then
    used := used || postrider.check_expression(relation, 'ordering_key', a.ordering_key);
  end if;
  if a."when" is not null then
    used := used || postrider.check_expression(relation, 'when', a."when");
  end if;
  if a.data ~ '^\s*\{' then
    used := used || postrider.attached_columns(relation, a.data);
  elsif a.data is not null then
    used := used || postrider.check_expression(relation, 'data', a.data);
  end if;
  if a.previous and 'previous' = any (case when a.data is null
      then array(select c.attname::text from pg_attribute c where c.attrelid = relation and c.attnum > 0 and not c.attisdropped)
      else used::text[] end) then
    raise exception 'previous: % has a column of this name', relation using errcode = '42701', column = 'previous',
      hint = 'Leave previous out, or name the columns in data without it.';
  end if;
  select c.attname into hidden from pg_attribute c
  where c.attrelid = relation and c.attgenerated = 'v' and (c.attname = any (used) or '' = any (used)) limit 1;
  if hidden is not null then
    raise exception 'column % is a virtual generated one, which triggers do not see', hidden using errcode = '0A000',
      hint = case when hidden = any (used) then 'Write its expression, or make it a stored one.'
        else 'Name the columns that you need in place of new or old, or make it a stored one.' end;
  end if;
  return array(
    select distinct u::text from unnest(used || array(select k.column_name from postrider.primary_key_of(relation) as k)) as u order by 1);
end
$$;
comment on function postrider.columns_read(regclass, postrider.attachment) is
  'The columns that the settings of attach() name, and the primary key; an empty name: all, in new or old as a whole. Raises what is wrong with them.';

create or replace function postrider.attached_relations(relation regclass) returns setof regclass
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select relation
  union
  select p.relid from pg_partition_tree(relation) as p where p.relid <> relation
$$;
comment on function postrider.attached_relations(regclass) is
  'The table and all its partitions: a statement on a partition fires the triggers of that partition only.';

-- triggers_of: on the table all of them, whatever they say: its owner has asked for it. Only the ones that it has as a partition
-- are left alone, as long as it is one.
create or replace function postrider.triggers_of(attached regclass, id text, functions oid[])
returns table (trigger_name name, relation regclass)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select t.trigger_name, t.relation
  from postrider.attached_triggers() t
  join pg_class c on c.oid = attached
  where case
    when t.relation = attached then not (c.relispartition and t.is_of_part)
    when c.relispartition then false
    else t.attachment_id = id and t.function = any (functions)
      or t.is_of_part and t.relation in (select r from postrider.attached_relations(attached) as r) end
$$;
comment on function postrider.triggers_of(regclass, text, oid[]) is
  'The triggers that detach() drops for a table, on it, on its partitions, and on tables that were partitions of it.';

create or replace function postrider.detach_relation(attached regclass, names text[]) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
  id constant text := (postrider.attachment_of(attached)).id::text;
  functions constant regprocedure[] := array(
    select f.function::regprocedure from postrider.attached_functions(attached) f where f.attachment_id = id);
  own record;
  known_as text;
  was_attached boolean := false;
begin
  if attached is not null and not exists (
    select from pg_class c where c.oid = attached and pg_has_role(current_user, c.relowner, 'usage')) then
    raise exception '% belongs to another role', attached using errcode = '42501',
      hint = 'Detach it as its owner, or as a member of that role.';
  end if;
  for own in select t.trigger_name, t.relation from postrider.triggers_of(attached, id, functions::oid[]) t loop
    execute format('drop trigger %I on %s', own.trigger_name, own.relation);
    was_attached := true;
  end loop;
  for own in select f as name from unnest(functions) as f loop
    execute format('drop function %s', own.name);
  end loop;
  if attached is not null then
    perform postrider.drop_backfill_functions(attached);
  end if;
  foreach known_as in array case when attached is null then names else array[attached::text] end loop
    exit when attached is null and was_attached;
    was_attached := postrider.forget_attachment(id, known_as) or was_attached;
  end loop;
  if not was_attached and exists (select from postrider.attached_triggers() t where t.relation = attached) then
    raise exception '% is a partition', attached using errcode = '0A000',
      hint = format('Detach the table that it is part of: %s', pg_partition_root(attached));
  end if;
  return was_attached;
end
$$;
comment on function postrider.detach_relation(regclass, text[]) is
  'Does what detach() says. names: what the table was called, with its schema, if it is gone.';

-- A name without a schema is one of a table in search_path, as for attach(): also if it is gone.
create or replace function postrider.names_meant("table" text, schemas name[]) returns text[]
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select case when "table" ~ '^([[:alpha:]_][[:alnum:]_$]*|"([^"]|"")+")$'
    then array(select format('%I.%I', s.name, (parse_ident("table"))[1]) from unnest(schemas) with ordinality as s (name, nth) order by s.nth)
    else array["table"] end
$$;
comment on function postrider.names_meant(text, name[]) is
  'The names, with a schema, that a name can be for: itself if it has one, otherwise one in each of these schemas.';

-- Without `set search_path`, since that of the caller is asked; its own names are looked up when it is created.
create or replace function postrider.detach("table" text) returns boolean
language sql
return postrider.detach_relation(to_regclass("table"), postrider.names_meant("table", current_schemas(false)));
comment on function postrider.detach(text) is
  'Ends what attach() began, also for a table that is gone. For the owner of the table. A name without a schema is looked up in search_path, as attach() does. Returns whether it was attached.';
