-- How often hot tables are vacuumed and analyzed.
--
-- graphile-worker's jobs are inserted, updated and deleted within seconds: at the server's defaults dead rows pile up
-- to a share of a table that is nearly empty, and fetching reads all of them (measured: 1.5 ms became 7.5 ms after 40,000
-- jobs that vacuum had not removed). Its pages are not given back, because the next burst needs them again and giving
-- them back takes an ACCESS EXCLUSIVE lock. The small tables that change every second are alike.
--
-- Here and not in a migration, because an upgrade of graphile-worker may make its table again; functions are applied
-- again after one. Days of deliveries get theirs in create_partition().
-- Locks: share update exclusive, which nobody who works waits for, and only where a setting differs.
do $autovacuum$
declare
  hot record;
begin
  for hot in
    select c.oid::regclass as name, w.settings
    from (values
      ('graphile_worker._private_jobs', array[
        'autovacuum_vacuum_scale_factor=0', 'autovacuum_vacuum_threshold=1000', 'autovacuum_vacuum_cost_delay=0',
        'autovacuum_analyze_scale_factor=0', 'autovacuum_analyze_threshold=5000', 'vacuum_truncate=false']),
      ('postrider.runner', array['autovacuum_vacuum_scale_factor=0', 'autovacuum_vacuum_threshold=500']),
      ('postrider.tenant_backlog', array['autovacuum_vacuum_scale_factor=0', 'autovacuum_vacuum_threshold=500']),
      ('postrider.ordering_line', array['autovacuum_vacuum_scale_factor=0', 'autovacuum_vacuum_threshold=500']),
      ('postrider.ordering_place', array['autovacuum_vacuum_scale_factor=0', 'autovacuum_vacuum_threshold=1000']),
      ('postrider.circuit', array['autovacuum_vacuum_scale_factor=0', 'autovacuum_vacuum_threshold=500'])
    ) as w (name, settings)
    join pg_class c on c.oid = w.name::regclass
    where not coalesce(c.reloptions, '{}') @> w.settings
  loop
    execute format('alter table %s set (%s)', hot.name, array_to_string(hot.settings, ', '));
  end loop;
end
$autovacuum$;
