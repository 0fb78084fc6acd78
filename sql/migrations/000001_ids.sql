-- Ids: every row of Postrider is named by a UUIDv7 that Postgres makes.
--
-- What:  postrider.uuidv7() and the two functions that convert between ids and timestamps.
-- Why:   uuidv7() is built in from Postgres 18; on 15-17 a function of the same meaning stands in.
-- Locks: none on existing tables.
-- breaking: no

do $ids$
begin
  if current_setting('server_version_num')::int >= 180000 then
    create function postrider.uuidv7() returns uuid
    language sql volatile parallel safe
    return pg_catalog.uuidv7();
  else
    -- 48 bits of milliseconds, version 7, 12 bits of the fraction of the millisecond (RFC 9562, 6.2
    -- method 3), 62 random bits. Ids made within the same microsecond are in no particular order.
    -- One expression without a query in it, which the planner puts in place of the call: it would plan
    -- one at each call. 4,096,000 a second are the 60 bits of milliseconds and fraction in one number.
    create function postrider.uuidv7() returns uuid
    language sql volatile parallel safe
    return (
      overlay(
        lpad(to_hex(floor(extract(epoch from clock_timestamp()) * 4096000)::bigint), 15, '0')
        placing '7' from 13 for 0)
      || substr(gen_random_uuid()::text, 20))::uuid;
  end if;
end
$ids$;
comment on function postrider.uuidv7() is
  'A new UUIDv7 (RFC 9562): built in from Postgres 18, a stand-in below.';

create function postrider.id_at(at timestamptz) returns uuid
language sql immutable strict parallel safe
return (lpad(to_hex(greatest(0, extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
comment on function postrider.id_at(timestamptz) is
  'The lowest id of a millisecond. Partition boundaries and time filters on ids are created with it.';

create function postrider.id_time(id uuid) returns timestamptz
language sql immutable strict parallel safe
return to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0);
comment on function postrider.id_time(uuid) is
  'When an id was created, to the millisecond, by the clock of the server that made it.';

create function postrider.id_floor(parent uuid) returns uuid
language sql immutable strict parallel safe
return postrider.id_at(postrider.id_time(parent) - interval '1 hour');
comment on function postrider.id_floor(uuid) is
  'No child row of this parent has a smaller id: its time minus one hour, so that a clock that was set '
  'back hides nothing. Queries carry it as a bound so that older partitions are pruned.';
