-- Attributes that the row types of migration 000004 have gained since.
--
-- Here and not in a migration: the functions that build these rows name every attribute, so both have to change
-- in one transaction. Between a migration and the functions, a runner could write down no outcome.
do $$
declare
  added record;
begin
  for added in
    select * from (values
      ('attempt_result', 'reason'), ('settled_delivery', 'reason'), ('settled_delivery', 'trigger')) as w (type, name)
  loop
    if not exists (
      select from pg_attribute a
      where a.attrelid = format('postrider.%I', added.type)::regclass and a.attname = added.name
    ) then
      execute format('alter type postrider.%I add attribute %I text', added.type, added.name);
    end if;
  end loop;
end
$$;
