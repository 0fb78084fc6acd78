-- backfill: publish the rows that an attached table has already.
--
-- It walks the primary key, a batch a transaction: reads rows and locks them (for share), publishes them as created, and
-- moves its place in postrider.backfill. So a process that is killed costs the batch that it was at.
--
-- Next to writers. A row that somebody is changing is waited for, and read as it then is; while it is locked nobody
-- changes it, so what is published later is newer, and what an earlier change published was published before: with an
-- ordering key, receivers get the states of a row in order and the newest last. attach() waits for all who write to the
-- table, so every row either was there or is published by its trigger. A row that a later change has published as well
-- arrives more than once.
--
-- Nobody waits long for it: while it holds many rows it waits 10 ms for another (or for an ordering key), and 200 ms where
-- it holds none; then it gives up what it has, and tries with fewer rows. Postgres looks for deadlocks after a second
-- (deadlock_timeout), so no writer is the one whom it ends.
--
-- Who runs it. The expressions of a table are run by its owner only, never by a runner or by the owner of Postrider for
-- another role: their rights would be the expressions'. Where the table belongs to the owner of this schema, which is the
-- case when one role owns the database, runners continue the backfill (continue_backfill). Otherwise a session of
-- the owner does: call postrider.run_backfill(…), or postrider table backfill.

create or replace function postrider.enqueue_backfill_job(backfill uuid, run_at timestamptz) returns void
language sql
set search_path = pg_catalog, pg_temp
begin atomic
  select postrider.enqueue_single('backfill', json_build_object('b', backfill), run_at, 'backfill:' || backfill);
end;
comment on function postrider.enqueue_backfill_job(uuid, timestamptz) is
  'Adds, or moves, the job of a backfill that runners continue. Raises 40001 when it could not be added.';

-- may_backfill: the session of the owner, or of a runner where runners continue it.
create or replace function postrider.may_backfill(b postrider.backfill) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(pg_has_role(postrider.caller(), to_regrole(quote_ident(b.owner)), 'usage'), false)
    or b.is_automatic and coalesce(pg_has_role(postrider.caller(), to_regrole('postrider_runner'), 'usage'), false)
$$;
comment on function postrider.may_backfill(postrider.backfill) is
  'Whether this session can continue a backfill: that of the owner of the table, or of a runner where runners continue it.';

create or replace function postrider.backfill_function(backfill uuid, schema name) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
  select format('%I.%I', schema, 'postrider_backfill_' || replace(backfill::text, '-', ''))
$$;
comment on function postrider.backfill_function(uuid, name) is 'Name of the function that reads the rows of a backfill.';

-- Of backfills that were cancelled, which not everybody who cancels one may drop.
create or replace function postrider.drop_backfill_functions(relation regclass) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  own regprocedure;
begin
  for own in
    select p.oid from pg_proc p join pg_class c on c.oid = relation and c.relowner = p.proowner
    where p.proname ~ '^postrider_backfill_[0-9a-f]{32}$' and p.pronargs = 2
      and obj_description(p.oid, 'pg_proc') = format('Reads rows of %s for a backfill.', relation)
  loop
    execute format('drop function %s', own);
  end loop;
end
$$;
comment on function postrider.drop_backfill_functions(regclass) is 'Drops the functions that backfills of this table have left.';

-- backfill_key_of: the primary key, with the operators of its index. What an operator is called, and in which schema it is, differs
-- from type to type, and another one can compare in another order: citext > citext is public.>, and pg_catalog.> compares
-- it as text. A domain of an enumeration is read as the enumeration, which alone has operators.
create or replace function postrider.backfill_key_of(relation oid)
returns table (nth bigint, value text, type text, collated text, before text, equals text, behind text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select k.nth, format('new.%I', a.attname) || coalesce('::' || of_domain.enum, ''),
    coalesce(of_domain.enum::text, format_type(a.atttypid, a.atttypmod)),
    coalesce((
      select format(' collate %I.%I', n.nspname, l.collname) from pg_collation l join pg_namespace n on n.oid = l.collnamespace
      where l.oid = k.sorted_by), ''),
    o.names[1], o.names[2], o.names[3]
  from pg_index i
  join pg_class x on x.oid = i.indexrelid
  join pg_am m on m.oid = x.relam and m.amname = 'btree'
  cross join lateral unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[]) with ordinality as k (attnum, opclass, sorted_by, nth)
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
  join pg_opclass c on c.oid = k.opclass
  cross join lateral (
    select array_agg(format('operator(%I.%s)', n.nspname, p.oprname) order by s.amopstrategy)
    from pg_amop s join pg_operator p on p.oid = s.amopopr join pg_namespace n on n.oid = p.oprnamespace
    where s.amopfamily = c.opcfamily and s.amoplefttype = c.opcintype and s.amoprighttype = c.opcintype
      and s.amopstrategy in (1, 3, 5)) as o (names)
  left join lateral (
    with recursive base as (
      select t.typbasetype as id from pg_type t where t.oid = a.atttypid and t.typtype = 'd'
      union all
      select t.typbasetype from base join pg_type t on t.oid = base.id and t.typtype = 'd')
    select t.oid::regtype as enum from base join pg_type t on t.oid = base.id and t.typtype = 'e') as of_domain on true
  where i.indrelid = relation and i.indisprimary and k.nth <= i.indnkeyatts
  order by k.nth
$$;
comment on function postrider.backfill_key_of(oid) is
  'Columns of the primary key in order, as SQL, with their types, collations and the operators by which one is before, equal to or behind another; none where its index is no btree.';

-- backfill_ranges: what is behind (a, b, c) in three ranges, each of which the index finds in order: the same a and b, and a
-- later c; the same a, and a later b; a later a. A comparison of whole rows would need operators of one name.
create or replace function postrider.backfill_ranges(relation oid, after text) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select string_agg(format('%s %s (%s ->> %s)::%s%s',
    k.value, case when k.nth = last.nth then k.behind else k.equals end, after, k.nth - 1, k.type, k.collated), ' and ' order by k.nth)
  from postrider.backfill_key_of(relation) as last
  join postrider.backfill_key_of(relation) as k on k.nth <= last.nth
  where after is not null
  group by last.nth
  union all
  select 'true' where after is null
$$;
comment on function postrider.backfill_ranges(oid, text) is
  'Conditions, as SQL, which together hold for the rows behind a place. after: the SQL of the place, a JSON array; null = all rows.';

-- backfill_statement: rows after a place in the primary key, locked: the last place, how many, and the events of those that
-- when lets through. Nothing of ours has a name where "where" is read, so that any column can have it.
--
-- The keys are read first, and decide how far the batch goes: a row whose key somebody changes while it is waited for is then no
-- row of the batch. With its new key it would take the place there, behind rows that nobody has read.
create or replace function postrider.backfill_statement(
  relation regclass, a postrider.attachment, event text, "where" text, after text, size text
) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select format($sql$
  with keys as materialized (
    select * from (%1$s) as k order by %2$s limit %3$s
  ), read as materialized (
    select new.* from keys as k cross join lateral (
      select new.* from %4$s as new where %5$s and (%6$s
      ) for share of new) as new
    order by %7$s
  )
  select (select json_build_array(%8$s) from keys as k order by %9$s limit 1), (select count(*)::int from keys),
    (select json_agg(json_build_object('tenant', e.tenant, 'type', e.type, 'data', e.data, 'orderingKey', e.ordering_key))
     from (%10$s) as e)$sql$,
    (select string_agg(format(e'\n    (select %s from %s as new where %s and (%s\n    ) order by %s limit %s)',
      key.columns, relation, range, coalesce("where", 'true'), key.by_number, size), ' union all')
     from postrider.backfill_ranges(relation, after) as range),
    key.by_number, size, relation, key.matches, coalesce("where", 'true'), key.first_first, key.place, key.last_first,
    postrider.attached_events(relation, a, event, 'read as new left join read as old on false'))
  from (
    select string_agg(format('%s as k%s', k.value, k.nth), ', ' order by k.nth) as columns,
      string_agg(format('%s using %s', k.nth, k.before), ', ' order by k.nth) as by_number,
      string_agg(format('%s %s k.k%s', k.value, k.equals, k.nth), ' and ' order by k.nth) as matches,
      string_agg(format('k.k%s using %s', k.nth, k.before), ', ' order by k.nth) as first_first,
      string_agg(format('k.k%s::text', k.nth), ', ' order by k.nth) as place,
      string_agg(format('k.k%s using %s', k.nth, k.behind), ', ' order by k.nth) as last_first
    from postrider.backfill_key_of(relation) as k) as key
$$;
comment on function postrider.backfill_statement(regclass, postrider.attachment, text, text, text, text) is
  'SQL that reads the next rows of a backfill. after, size: SQL of the place that it begins behind (null = at the beginning), and of how many.';

create or replace function postrider.write_backfill_function(
  relation regclass, a postrider.attachment, event text, "where" text, name text
) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Analyzed as SQL, which says what is wrong with the condition; plpgsql would say so at the first row.
  begin
    execute format('create function %s() returns setof record language sql begin atomic %s; end',
      name || '_check', postrider.backfill_statement(relation, a, event, "where", 'null::json', '1'));
    raise exception using errcode = 'PR000';
  exception
    when sqlstate 'PR000' then
      null;
    when syntax_error_or_access_rule_violation or feature_not_supported or data_exception then
      raise exception 'where: %', sqlerrm using errcode = sqlstate, column = 'where',
        hint = 'Give an SQL condition over the columns of the table, such as status <> ''draft''.';
  end;
  execute format($function$
create or replace function %1$s(json, int, out json, out int, out json)
language plpgsql
%3$s
as %2$L$function$, name, format($body$
#variable_conflict use_column
begin
  if $1 is null then
    %s into $3, $4, $5;
  else
    %s into $3, $4, $5;
  end if;
end
$body$, postrider.backfill_statement(relation, a, event, "where", null, '$2'),
    postrider.backfill_statement(relation, a, event, "where", '$1', '$2')), postrider.written_settings());
  execute format('comment on function %s(json, int) is %L', name, format('Reads rows of %s for a backfill.', relation));
  execute format('revoke all on function %s(json, int) from public', name);
end
$$;
comment on function postrider.write_backfill_function(regclass, postrider.attachment, text, text, text) is
  'Writes the function that reads the rows of a backfill, under this name.';

create or replace function postrider.backfill(
  "table" regclass, "where" text default null, rate_per_second numeric default 500, event text default 'created'
) returns uuid
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
  a postrider.attachment;
  owner constant oid := (select c.relowner from pg_class c where c.oid = "table");
  id constant uuid := postrider.uuidv7();
  name constant text := postrider.backfill_function(id, postrider.backfill_schema("table"));
  total bigint;
begin
  a := postrider.attachment_of("table");
  if a.id is null then
    raise exception '% is not attached', "table" using errcode = '55000',
      hint = 'Call postrider.attach() first, so that what changes meanwhile is published too.';
  elsif not pg_has_role(current_user, owner, 'usage') then
    raise exception '% belongs to %', "table", pg_get_userbyid(owner) using errcode = '42501',
      hint = format('Backfill it as that role, or as a member of it: set role %I', pg_get_userbyid(owner));
  elsif exists (
    select from pg_class c join pg_roles r on r.oid = c.relowner
    where c.oid = "table" and c.relrowsecurity and c.relforcerowsecurity and not (r.rolsuper or r.rolbypassrls)) then
    raise exception 'policies of % apply to its owner too, so some rows cannot be read', "table" using errcode = '0A000',
      hint = format('alter table %s no force row level security', "table");
  elsif not exists (select from postrider.primary_key_of("table")) then
    raise exception '% has no primary key, by which a backfill goes', "table" using errcode = '0A000', hint = 'Add one.';
  elsif not exists (select from postrider.backfill_key_of("table")) then
    raise exception 'the primary key of % is one without overlaps, by which no backfill goes', "table" using errcode = '0A000',
      hint = 'Publish its rows with postrider.publish_many().';
  elsif event is null or a.type || '.' || event !~ '^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$' or event in ('updated', 'deleted')
    or length(a.type || event) > 127 then
    raise exception 'event is no part of a name' using errcode = '22023', column = 'event', hint = 'Such as created, or existing.';
  elsif rate_per_second is null or rate_per_second <= 0 or rate_per_second > 1000000 then
    raise exception 'rate_per_second is %, and not between 0 and 1000000', coalesce(rate_per_second::text, 'null')
      using errcode = '22023', column = 'rate_per_second', hint = 'How many events it publishes a second: 500, or 0.5 for one in two seconds.';
  end if;
  perform postrider.drop_backfill_functions("table");
  perform postrider.write_backfill_function("table", a, event, nullif(btrim("where"), ''), name);
  execute format('alter function %s(json, int) owner to %I', name, pg_get_userbyid(owner));
  execute format('select count(*) from %s as new where (%s
)', "table", coalesce(nullif(btrim("where"), ''), 'true')) into total;
  return postrider.record_backfill(id, "table", nullif(btrim("where"), ''), event, rate_per_second, total);
end
$$;
comment on function postrider.backfill(regclass, text, numeric, text) is
  'Begins to publish the rows that an attached table has already, the ones that where lets through, as type.event; for the owner of the table. Runners continue it where the table belongs to the owner of this schema; otherwise call postrider.run_backfill(id). Returns its id; postrider.backfill_progress shows how far it is, cancel_backfill() ends it.';

-- In our own schema, where nobody else can put a function of the same name in its place, if runners are to run it.
create or replace function postrider.backfill_schema(relation oid) returns name
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case when c.relowner = ours.nspowner then ours.nspname else n.nspname end
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  join pg_namespace ours on ours.nspname = 'postrider'
  where c.oid = relation
$$;
comment on function postrider.backfill_schema(oid) is
  'Where the function is that reads the rows of a backfill: here where runners continue it, otherwise next to the table.';

create or replace function postrider.record_backfill(
  id uuid, relation regclass, "where" text, event text, rate_per_second numeric, total bigint
) returns uuid
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  b postrider.backfill;
begin
  select a.id, format('%I.%I', n.nspname, c.relname), pg_get_userbyid(c.relowner), c.relowner = p.proowner and s = 'postrider'
  into b.attachment_id, b."table", b.owner, b.is_automatic
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  cross join postrider.attachment_of(c.oid) as a
  cross join postrider.backfill_schema(c.oid) as s
  join pg_proc p on p.oid = to_regprocedure(postrider.backfill_function(record_backfill.id, s) || '(json, int)')
  where c.oid = relation;
  if b.attachment_id is null then
    raise exception '% is not ready for a backfill', relation using errcode = '55000', hint = 'Call postrider.backfill().';
  end if;
  b.id := record_backfill.id;
  b."where" := record_backfill."where";
  b.event := record_backfill.event;
  b.rate_per_second := record_backfill.rate_per_second;
  b.state := 'running';
  b.total := record_backfill.total;
  b.read := 0;
  b.published := 0;
  b.batch_rows := 500;
  b.requested_by := postrider.caller();
  b.created_at := clock_timestamp();
  if not postrider.may_backfill(b) then
    raise exception '% belongs to %', relation, b.owner using errcode = '42501', hint = 'Only its owner can backfill it.';
  end if;
  begin
    insert into postrider.backfill select b.*;
  exception when unique_violation then
    raise exception 'a backfill of % is running', relation using errcode = '55000',
      hint = 'Wait until it is done, or cancel it: postrider.cancel_backfill(id).';
  end;
  if b.is_automatic then
    perform postrider.enqueue_backfill_job(b.id, now());
  end if;
  perform postrider.audit(null, 'backfill', 'table', b."table", null, to_jsonb(b) - 'place');
  return b.id;
end
$$;
comment on function postrider.record_backfill(uuid, regclass, text, text, numeric, bigint) is
  'Notes a backfill that backfill() has prepared, and adds its job where runners continue it.';

-- take_backfill: the backfill, locked until the transaction ends, for who may continue it; null when it has ended.
create or replace function postrider.take_backfill(backfill uuid) returns postrider.backfill
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  b postrider.backfill;
begin
  select * into b from postrider.backfill p where p.id = take_backfill.backfill for update;
  if b.id is null then
    raise exception 'there is no backfill %', backfill using errcode = 'P0002', hint = 'Ids are in postrider.backfill_progress.';
  elsif not postrider.may_backfill(b) then
    raise exception '% belongs to %', b."table", b.owner using errcode = '42501', hint = 'Only its owner can continue the backfill.';
  end if;
  return b;
end
$$;
comment on function postrider.take_backfill(uuid) is
  'A backfill, locked until the transaction ends. Raises 42501 unless this session can continue it.';

create or replace function postrider.move_backfill(backfill uuid, place json, read int, published int) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform postrider.take_backfill(backfill);
  update postrider.backfill p
  set place = coalesce(move_backfill.place, p.place), read = p.read + coalesce(move_backfill.read, 0),
    published = p.published + move_backfill.published,
    batch_rows = case when move_backfill.read is null then greatest(p.batch_rows / 4, 1) else least(p.batch_rows * 2, 500) end,
    state = case when move_backfill.read = 0 then 'done' else p.state end,
    finished_at = case when move_backfill.read = 0 then clock_timestamp() end,
    error = null, moved_at = clock_timestamp()
  where p.id = move_backfill.backfill and p.finished_at is null;
end
$$;
comment on function postrider.move_backfill(uuid, json, int, int) is
  'Notes what a step of a backfill has read; read = 0: there is nothing more, null: somebody held the rows.';

-- backfill_rows: read a batch and publish it. Returns no place where somebody holds a row or a key: what it did is undone.
create or replace function postrider.backfill_rows(
  name text, source text, after json, size int, out place json, out read int, out published int
)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  wait constant text := case when size = 1 then '200ms' else '10ms' end;
  wait_before constant text := current_setting('lock_timeout');
  key_wait_before constant text := current_setting('postrider.key_wait', true);
  batch record;
begin
  perform set_config('lock_timeout', wait, true);
  perform set_config('postrider.key_wait', wait, true);
  begin
    execute format('select * from %s($1, $2) as read (place, read, events)', name) into batch using after, size;
    if batch.events is not null then
      perform postrider.publish_rows(batch.events, source);
    end if;
    place := batch.place;
    read := batch.read;
    published := coalesce(json_array_length(batch.events), 0);
  exception when lock_not_available or serialization_failure or deadlock_detected then
    published := 0;
  end;
  perform set_config('lock_timeout', wait_before, true);
  perform set_config('postrider.key_wait', coalesce(key_wait_before, ''), true);
end
$$;
comment on function postrider.backfill_rows(text, text, json, int) is
  'Publishes the next rows of a backfill by the function of this name; read is null when somebody holds one of them.';

-- The function of a backfill finds its table by name, which another one can have taken.
create or replace function postrider.backfilled_table(b postrider.backfill) returns regclass
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  relation constant regclass := to_regclass(b."table");
begin
  if relation is null then
    raise exception '% is gone, or has another name', b."table" using errcode = '42P01',
      hint = 'Cancel the backfill, and begin another one: postrider.cancel_backfill(id).';
  elsif (postrider.attachment_of(relation)).id is distinct from b.attachment_id then
    raise exception '% is another table than when the backfill began, or was detached since', b."table" using errcode = '55000',
      hint = 'Cancel the backfill, and begin another one: postrider.cancel_backfill(id).';
  end if;
  return relation;
end
$$;
comment on function postrider.backfilled_table(postrider.backfill) is
  'The table of a backfill. Raises 42P01 where none has its name any more, and 55000 where another one has.';

-- backfill_step: one batch, in the transaction of the caller, who is the owner of the table.
create or replace function postrider.backfill_step(
  backfill uuid, out is_over boolean, out wait_seconds float8, out read bigint, out published bigint, out total bigint
)
language plpgsql
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
  b postrider.backfill;
  relation regclass;
  name text;
  rows_read int;
  rows_published int;
  new_place json;
begin
  b := postrider.take_backfill(backfill);
  relation := case when b.finished_at is null then postrider.backfilled_table(b) else to_regclass(b."table") end;
  name := case when relation is not null then postrider.backfill_function(b.id, postrider.backfill_schema(relation)) end;
  if b.finished_at is null then
    if not exists (
      select from pg_proc p join pg_class c on c.oid = relation and c.relowner = p.proowner
      where p.oid = to_regprocedure(name || '(json, int)') and p.proowner = (select r.oid from pg_roles r where r.rolname = current_user)) then
      raise exception 'the rows of % can be read by its owner only, after backfill()', b."table" using errcode = '42501',
        hint = format('set role %I', b.owner);
    end if;
    select r.place, r.read, r.published into new_place, rows_read, rows_published
    from postrider.backfill_rows(name, b."table", b.place, least(b.batch_rows, greatest(b.rate_per_second::int, 1))) as r;
    -- Once more, as what was read is locked by now: nobody has given its name to another table between the two.
    perform postrider.backfilled_table(b);
    perform postrider.move_backfill(b.id, new_place, rows_read, rows_published);
    wait_seconds := case when rows_read is null then 0.05 else rows_published / b.rate_per_second end;
  end if;
  is_over := b.finished_at is not null or coalesce(rows_read = 0, false);
  if is_over and to_regprocedure(name || '(json, int)') is not null then
    execute format('drop function %s(json, int)', name);
  end if;
  read := b.read + coalesce(rows_read, 0);
  published := b.published + coalesce(rows_published, 0);
  total := b.total;
end
$$;
comment on function postrider.backfill_step(uuid) is
  'Publishes the next batch of a backfill and moves its place, in this transaction. For the owner of the table, who calls it until is_over; wait_seconds: how long to wait before, at the rate of the backfill.';

-- Without `set`, which a procedure that commits cannot have; so every name and operator says its schema.
create or replace procedure postrider.run_backfill(backfill uuid)
language plpgsql
as $$
declare
  step record;
begin
  loop
    select s.* into step from postrider.backfill_step(backfill) as s;
    commit;
    exit when step.is_over;
    perform pg_catalog.pg_sleep(step.wait_seconds);
  end loop;
end
$$;
comment on procedure postrider.run_backfill(uuid) is
  'Continues a backfill to its end, a transaction for each batch. For the owner of the table. What was interrupted continues where it was.';

-- continue_backfill: what runners call. With the rights of the owner of this schema, who is the owner of the table as well:
-- otherwise the step refuses.
create or replace function postrider.continue_backfill(backfill uuid) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  step record;
begin
  if not exists (select from postrider.backfill p where p.id = backfill and p.is_automatic) then
    return 'not for runners';
  end if;
  begin
    select s.* into step from postrider.backfill_step(backfill) as s;
  exception when others then
    update postrider.backfill p set error = sqlerrm where p.id = backfill;
    perform postrider.enqueue_backfill_job(backfill, now() + interval '10 seconds');
    return sqlerrm;
  end;
  if step.is_over then
    return 'done';
  end if;
  perform postrider.enqueue_backfill_job(backfill, clock_timestamp() + make_interval(secs => step.wait_seconds));
  return format('%s of %s rows read', step.read, step.total);
end
$$;
comment on function postrider.continue_backfill(uuid) is
  'The next batch of a backfill of a table that belongs to the owner of this schema; its job calls it. An error is noted and retried. Returns what it did, in words.';

create or replace function postrider.cancel_backfill(backfill uuid, who text default session_user) returns boolean
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  ended postrider.backfill;
begin
  select * into ended from postrider.backfill p where p.id = cancel_backfill.backfill and p.finished_at is null for update;
  if ended.id is null then
    return false;
  end if;
  if not (postrider.may_backfill(ended) or pg_has_role(postrider.caller(), (select n.nspowner from pg_namespace n where n.nspname = 'postrider'), 'usage')
    or exists (
      select from pg_roles r
      where r.rolname in ('postrider_operator', 'postrider_api') and pg_has_role(postrider.caller(), r.oid, 'usage'))) then
    raise exception '% belongs to %', ended."table", ended.owner using errcode = '42501', hint = 'Its owner and operators can cancel the backfill.';
  end if;
  update postrider.backfill p set state = 'cancelled', finished_at = clock_timestamp() where p.id = ended.id;
  perform graphile_worker.remove_job('backfill:' || ended.id);
  if ended.is_automatic then
    execute format('drop function if exists %s(json, int)', postrider.backfill_function(ended.id, 'postrider'));
  end if;
  perform postrider.audit(who, 'cancel_backfill', 'table', ended."table", null,
    jsonb_build_object('backfill', ended.id, 'read', ended.read, 'total', ended.total));
  return true;
end
$$;
comment on function postrider.cancel_backfill(uuid, text) is
  'Ends a running backfill; what it has published is delivered. For the owner of the table and for operators. Returns whether it was running.';

create or replace view postrider.backfill_progress as
select b.id, b."table", b.state, b.read, b.total, b.published, b."where", b.event, b.rate_per_second, b.is_automatic, b.error,
  b.owner, b.requested_by, b.created_at, b.moved_at, b.finished_at
from postrider.backfill b;
comment on view postrider.backfill_progress is 'Backfills of attached tables, and how far each is; producers see those of their tables. Cost: a row each.';
comment on column postrider.backfill_progress.id is 'UUIDv7.';
comment on column postrider.backfill_progress."table" is 'The table, with its schema.';
comment on column postrider.backfill_progress.state is 'running, done, or cancelled by a person.';
comment on column postrider.backfill_progress.read is 'Rows that it has read so far.';
comment on column postrider.backfill_progress.total is 'Rows that there were when it began.';
comment on column postrider.backfill_progress.published is 'Events that it has published: rows that when of the table lets through.';
comment on column postrider.backfill_progress."where" is 'Only these rows; null = all.';
comment on column postrider.backfill_progress.event is 'Its events are type.event.';
comment on column postrider.backfill_progress.rate_per_second is 'How many events it publishes a second, at most.';
comment on column postrider.backfill_progress.is_automatic is 'Whether runners continue it; otherwise the owner of the table does, with run_backfill().';
comment on column postrider.backfill_progress.error is 'Why its last step failed; it is retried. Null = it did not.';
comment on column postrider.backfill_progress.owner is 'Owner of the table.';
comment on column postrider.backfill_progress.requested_by is 'Who began it.';
comment on column postrider.backfill_progress.created_at is 'When it began.';
comment on column postrider.backfill_progress.moved_at is 'When it last continued; null = not yet.';
comment on column postrider.backfill_progress.finished_at is 'When it was done or cancelled; null = running.';
