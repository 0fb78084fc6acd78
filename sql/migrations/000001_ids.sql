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
    create function postrider.uuidv7() returns uuid
    language sql volatile parallel safe
    return (
      select encode(
        overlay(
          uuid_send(gen_random_uuid())
          placing decode(
            lpad(to_hex(clock.us / 1000), 12, '0')
            || '7' || lpad(to_hex((clock.us % 1000) * 4096 / 1000), 3, '0'), 'hex')
          from 1 for 8), 'hex')::uuid
      from (select (extract(epoch from clock_timestamp()) * 1000000)::bigint as us) as clock
    );
  end if;
end
$ids$;
comment on function postrider.uuidv7() is
  'A new UUIDv7 (RFC 9562): built in from Postgres 18, a stand-in below.';

create function postrider.id_at(at timestamptz) returns uuid
language sql immutable strict parallel safe
return (lpad(to_hex(greatest(0, extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
comment on function postrider.id_at(timestamptz) is
  'The lowest id of a millisecond. Partition boundaries and time filters on ids are made with it.';

create function postrider.id_time(id uuid) returns timestamptz
language sql immutable strict parallel safe
return to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0);
comment on function postrider.id_time(uuid) is
  'When an id was made, to the millisecond, by the clock of the server that made it.';

create function postrider.id_floor(parent uuid) returns uuid
language sql immutable strict parallel safe
return postrider.id_at(postrider.id_time(parent) - interval '1 hour');
comment on function postrider.id_floor(uuid) is
  'No child row of this parent has a smaller id: its time minus one hour, so that a clock that was set '
  'back hides nothing. Queries carry it as a bound so that older partitions are pruned.';
