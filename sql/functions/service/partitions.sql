-- create_partitions: keep one partition a day, made ahead, for event, delivery and attempt.
--
-- Each partition is created first and then attached, which takes only SHARE UPDATE EXCLUSIVE on the
-- parent and so never waits for, or blocks, publishing. One at a time (the duty `partitions`).
-- Cost: one catalogue probe a day and table when there is nothing to do. Each day is 3 tables with 13 indexes, which
-- sessions load, dumps list and planners look at; a database that needs none of the weeks may say so with
-- `alter database … set postrider.partition_days_ahead`.
create or replace function postrider.create_partitions(
  days_ahead int default coalesce(nullif(current_setting('postrider.partition_days_ahead', true), '')::int, 40)
) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  made int := 0;
  parent text;
  day date;
begin
  perform from postrider.duty d where d.name = 'partitions' for update;
  foreach parent in array array['event', 'delivery', 'attempt'] loop
    -- Yesterday too: an id made just before midnight, or by a clock that is a little behind.
    for day in
      select generate_series(today - 1, today + days_ahead, interval '1 day')::date
      from (select (clock_timestamp() at time zone 'UTC')::date as today) as clock
    loop
      made := made + postrider.create_partition(parent, day);
    end loop;
  end loop;
  return made;
end
$$;
comment on function postrider.create_partitions(int) is
  'Makes the missing day partitions from yesterday to this many days ahead; returns how many it made.';

-- create_partition: one day of one table; 1 when it was made, 0 when it was there.
--
-- fillfactor: a delivery is updated twice and an attempt once, and an update is HOT only when its page
-- has room. A finished attempt is several times as long as the row that was claimed.
-- autovacuum: what is due is found by an index that each delivery leaves when it ends; at the default of a fifth of the
-- day, most of what it led to would be dead.
create or replace function postrider.create_partition(parent text, day date) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  partition text := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
  options text := case parent
    when 'delivery' then 'with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)'
    when 'attempt' then 'with (fillfactor = 30)'
    else '' end;
begin
  if to_regclass(format('postrider.%I', partition)) is not null then
    return 0;
  end if;
  execute format('create table postrider.%I (like postrider.%I including all) %s', partition, parent, options);
  execute format('comment on table postrider.%I is %L', partition,
    format('Rows of postrider.%s whose id was made on %s (UTC).', parent, day));
  execute format('alter table postrider.%I attach partition postrider.%I for values from (%L) to (%L)',
    parent, partition,
    postrider.id_at(day::timestamp at time zone 'UTC'),
    postrider.id_at((day + 1)::timestamp at time zone 'UTC'));
  return 1;
end
$$;
comment on function postrider.create_partition(text, date) is
  'Makes and attaches one day partition of event, delivery or attempt; returns 1, or 0 when it exists.';
