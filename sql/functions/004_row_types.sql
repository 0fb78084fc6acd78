-- Attributes that the row types of migration 000004 have gained since.
--
-- Here and not in a migration: the functions that build these rows name every attribute, so both have to change
-- in one transaction. Between a migration and the functions, a runner could write down no outcome.
do $$
declare
  row_type text;
begin
  foreach row_type in array array['attempt_result', 'settled_delivery'] loop
    if not exists (
      select from pg_attribute a
      where a.attrelid = format('postrider.%I', row_type)::regclass and a.attname = 'reason'
    ) then
      execute format('alter type postrider.%I add attribute reason text', row_type);
    end if;
  end loop;
end
$$;
