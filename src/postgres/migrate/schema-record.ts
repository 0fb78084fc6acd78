import type pg from 'pg'

/** What `postrider.migration` and `postrider.function_source` say; null before the first migration. */
export type SchemaRecord = {
  migrations: { name: string; checksum: string; breaking: boolean }[]
  functions: { name: string; hash: string }[]
}

export type Queryable = Pick<pg.Pool | pg.ClientBase, 'query'>

/** Reads what was applied to the database. Needs only `select` on the two tables. */
export async function readSchemaRecord(client: Queryable): Promise<SchemaRecord | null> {
  const exists = await client.query(`
    select to_regclass('postrider.migration') is not null
      and to_regclass('postrider.function_source') is not null as exists`)
  if (!exists.rows[0].exists) return null
  const migrations = await client.query(
    'select name, checksum, breaking from postrider.migration order by name',
  )
  const functions = await client.query(
    'select name, hash from postrider.function_source order by name',
  )
  return { migrations: migrations.rows, functions: functions.rows }
}

/** Makes the two tables in which migrations and functions that were applied are written down. */
export async function createSchemaRecord(client: Queryable): Promise<void> {
  await client.query(`
    begin;
    create schema if not exists postrider;
    create table if not exists postrider.migration (
      name text primary key,
      checksum text not null,
      breaking boolean not null,
      applied_at timestamptz not null default clock_timestamp()
    );
    comment on table postrider.migration is 'Migrations that were applied to this database.';
    comment on column postrider.migration.name is 'File name in sql/migrations.';
    comment on column postrider.migration.checksum is 'SHA-256 of the file when it was applied; it must not change afterwards.';
    comment on column postrider.migration.breaking is 'Whether programs that do not know this migration must not run.';
    comment on column postrider.migration.applied_at is 'When it was applied.';
    create table if not exists postrider.function_source (
      name text primary key,
      hash text not null,
      applied_at timestamptz not null default clock_timestamp()
    );
    comment on table postrider.function_source is 'Function files that are in force in this database.';
    comment on column postrider.function_source.name is 'File name in sql/functions.';
    comment on column postrider.function_source.hash is 'SHA-256 of the file, the versions of Postgres and graphile-worker, and the rights of the group roles.';
    comment on column postrider.function_source.applied_at is 'When it was last applied.';
    commit`)
}
