-- The inbox of a receiver: applies each event once, however often it arrives.
--
-- Install it in the receiver's own database, Postgres 15 to 18, with the tool that runs your migrations or with psql:
--
--     postrider inbox sql | psql --single-transaction --set ON_ERROR_STOP=1
--
-- It needs nothing of Postrider and nothing of the sender. Applying it again changes nothing, and a newer edition of this
-- file replaces the functions and leaves the rows. The role that installs it owns it; another role needs
--
--     grant usage on schema postrider_inbox to app;
--
-- In the transaction that applies an event:
--
--     select postrider_inbox.receive('<webhook-id>');  -- true: apply it; false: it was applied, answer 200

create schema if not exists postrider_inbox;
comment on schema postrider_inbox is 'Which events this receiver has applied, so that a repeat has no effect.';

create table if not exists postrider_inbox.inbox (
  receiver text collate "C" not null check (length(receiver) <= 255),
  id text collate "C" not null check (length(id) between 1 and 255),
  received_at timestamptz not null default now(),
  primary key (receiver, id)
);
create index if not exists inbox_received_at on postrider_inbox.inbox (received_at);
comment on table postrider_inbox.inbox is
  'Events that were applied. A row is inserted in the transaction that applies its event, and deleted after the retention.';
comment on column postrider_inbox.inbox.receiver is
  'Which receiver applied it, where several share the database: two endpoints get an event under the same id.';
comment on column postrider_inbox.inbox.id is 'The header webhook-id; of an event in a batch, its own id.';
comment on column postrider_inbox.inbox.received_at is 'When the transaction that applied it began.';

create table if not exists postrider_inbox.setting (
  is_only boolean primary key default true check (is_only),
  retention interval not null default '45 days' check (retention >= '1 day')
);
insert into postrider_inbox.setting default values on conflict do nothing;
comment on table postrider_inbox.setting is 'One row.';
comment on column postrider_inbox.setting.is_only is 'Makes it one row.';
comment on column postrider_inbox.setting.retention is
  'How long an event is recognized as a repeat: longer than the sender retries and replays. At least a day.';

-- Locks: the rows it deletes, until the caller's transaction ends. Rows that another transaction deletes are passed over.
-- Cost:  a probe of the index on received_at when nothing has expired.
create or replace function postrider_inbox.prune(rows_max integer default 10000) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  pruned integer;
begin
  delete from postrider_inbox.inbox i
  where i.ctid = any (array(
    select e.ctid from postrider_inbox.inbox e
    where e.received_at < now() - (select s.retention from postrider_inbox.setting s)
    order by e.received_at
    limit rows_max
    for update skip locked));
  get diagnostics pruned = row_count;
  return pruned;
exception when serialization_failure then
  -- Another transaction has pruned since this snapshot. A serializable transaction has to know, and is repeated.
  if current_setting('transaction_isolation') = 'serializable' then raise; end if;
  return 0;
end
$$;
comment on function postrider_inbox.prune(integer) is
  'Deletes up to so many rows that are older than the retention, and returns how many. receive() calls it now and then.';

-- The same at every isolation level. At repeatable read and above, `on conflict do nothing` fails with 40001 if the row was
-- committed after the snapshot; a unique violation does not, and says for certain that the event was applied.
--
-- Locks: a repeat waits until the transaction that applied the event first has ended: 10 s at most (SQLSTATE 55P03), or
--        as long as lock_timeout says if it is set. Ids are inserted in their order, so that batches do not deadlock.
-- Cost:  one row and two index entries for each id. Each hundredth call prunes up to 500 rows, which is more than arrive.
create or replace function postrider_inbox.receive_many(ids text[], receiver text default '') returns text[]
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  prunes_one_in constant integer := 100;
  patience constant text := current_setting('lock_timeout');
  one text;
  first_ids text[] := '{}';
begin
  if ids is null or receiver is null or array_position(ids, null) is not null
     or exists (select from unnest(ids) as u(id) where length(u.id) not between 1 and 255)
     or length(receiver) > 255 then
    raise exception using errcode = 'invalid_parameter_value',
      message = 'an id has 1 to 255 characters, and the name of a receiver at most 255';
  end if;
  if patience = '0' then perform set_config('lock_timeout', '10s', true); end if;

  if current_setting('transaction_isolation') like 'read %' then
    with inserted as (
      insert into postrider_inbox.inbox as i (receiver, id)
      select receive_many.receiver, s.id
      from (select distinct u.id collate "C" as id from unnest(ids) as u(id)) s
      order by s.id
      on conflict do nothing
      returning i.id)
    select coalesce(array_agg(inserted.id), '{}') into first_ids from inserted;
  else
    for one in select distinct u.id collate "C" from unnest(ids) as u(id) order by 1 loop
      begin
        insert into postrider_inbox.inbox (receiver, id) values (receive_many.receiver, one);
        first_ids := first_ids || one;
      exception when unique_violation then
        null;
      end;
    end loop;
  end if;

  if patience = '0' then perform set_config('lock_timeout', '0', true); end if;
  if random() * prunes_one_in < 1 then perform postrider_inbox.prune(5 * prunes_one_in); end if;
  return array(
    select u.id from unnest(ids) with ordinality as u(id, ordinal)
    where u.id = any (first_ids) group by u.id order by min(u.ordinal));
end
$$;
comment on function postrider_inbox.receive_many(text[], text) is
  'Notes that events are applied in this transaction, and returns, in the order given, the ids to apply: the others were applied before.';

create or replace function postrider_inbox.receive(id text, receiver text default '') returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return cardinality(postrider_inbox.receive_many(array[id], receiver)) = 1;
end
$$;
comment on function postrider_inbox.receive(text, text) is
  'Notes that an event is applied in this transaction. True: apply it. False: a transaction that committed has applied it.';
