/**
 * Tables and triggers of the same shape as those that two other products put on a producer's table: one row in their
 * table for each row that changes. They are written for this comparison, after the products' published SQL; what the
 * products do after the commit is not here.
 *
 * - `queued`  as pg_net and Supabase's database webhooks: a row in an unlogged queue without an index, which holds the
 *             request with the new and the old row, and a row in a logged table of requests with three indexes
 * - `logged`  as Hasura's event triggers: a row in a logged event table with three indexes, one of them partial,
 *             which holds the operation with the new and the old row; an update that changes nothing is left out
 */
export const ROW_TRIGGERS = `
  create schema others;

  create unlogged table others.request_queue (
    id bigserial, method text not null, url text not null, headers jsonb not null, body bytea, timeout_ms int not null
  );
  create table others.request (
    id bigserial primary key, table_id int not null, name text not null, created_at timestamptz not null default now(),
    queue_id bigint
  );
  create index on others.request (queue_id);
  create index on others.request (table_id, name);

  create function others.queue_request() returns trigger language plpgsql as $$
  declare
    queue_id bigint;
  begin
    insert into others.request_queue (method, url, headers, body, timeout_ms)
    values (tg_argv[1], tg_argv[0], '{"content-type": "application/json"}', convert_to(jsonb_build_object(
      'type', tg_op, 'schema', tg_table_schema, 'table', tg_table_name, 'record', new, 'old_record', old)::text, 'UTF8'), 1000)
    returning id into queue_id;
    insert into others.request (table_id, name, queue_id) values (tg_relid, tg_name, queue_id);
    return null;
  end $$;

  create table others.event (
    id text primary key default gen_random_uuid(), schema_name text not null, table_name text not null,
    name text not null, payload jsonb not null, is_delivered bool not null default false,
    has_failed bool not null default false, tries int not null default 0, created_at timestamp default now(),
    locked_at timestamptz, retry_at timestamp, is_archived bool not null default false
  );
  create index on others.event (name);
  create index on others.event (locked_at nulls first, retry_at nulls first, created_at)
    where not is_delivered and not has_failed and not is_archived;

  create function others.log_event() returns trigger language plpgsql as $$
  begin
    if tg_op = 'UPDATE' and old is not distinct from new then return null; end if;
    insert into others.event (schema_name, table_name, name, payload)
    values (tg_table_schema, tg_table_name, tg_name, json_build_object('op', tg_op,
      'data', json_build_object('old', row_to_json(old), 'new', row_to_json(new)),
      'session', nullif(current_setting('others.session', true), '')::json));
    return null;
  end $$;

  create trigger queue_request after insert or update or delete on bench.queued
    for each row execute function others.queue_request('http://127.0.0.1:9/', 'POST');
  create trigger log_event after insert or update or delete on bench.logged
    for each row execute function others.log_event()`
