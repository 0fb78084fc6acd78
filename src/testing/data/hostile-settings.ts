import type { TestServer } from '../servers/postgres-server.ts'
import { urlOf, withAdmin } from '../servers/template.ts'
import type { TestLifetime } from '../wiring/database.ts'

/**
 * Settings that any role may have by itself, each to the value with which it does the most harm. Those that a
 * server does not know are left out there.
 */
const HOSTILE_SETTINGS: Readonly<Record<string, string>> = {
  // How values are read and written.
  datestyle: 'German, DMY',
  intervalstyle: 'sql_standard',
  timezone: 'Asia/Kathmandu',
  extra_float_digits: '-15',
  bytea_output: 'escape',
  client_encoding: 'LATIN1',
  array_nulls: 'off',
  quote_all_identifiers: 'on',
  lc_time: 'C',
  lc_numeric: 'C',
  lc_monetary: 'C',
  xmlbinary: 'hex',
  timezone_abbreviations: 'India',
  default_text_search_config: 'pg_catalog.german',
  xmloption: 'document',
  // How statements are read.
  standard_conforming_strings: 'off',
  backslash_quote: 'off',
  escape_string_warning: 'on',
  transform_null_equals: 'on',
  search_path: 'hostile, public',
  'plpgsql.extra_errors': 'all',
  'plpgsql.variable_conflict': 'use_variable',
  // Statements inside functions are counted too, where they are counted.
  'pg_stat_statements.track': 'all',
  check_function_bodies: 'off',
  // What a transaction is.
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
  default_transaction_deferrable: 'on',
  row_security: 'off',
  // What an error ends, and what is told.
  exit_on_error: 'on',
  client_min_messages: 'error',
  // Of Postgres 15.8 on: no views but those of the system.
  restrict_nonsystem_relation_kind: 'view, foreign-table',
  gin_fuzzy_search_limit: '1',
  stats_fetch_consistency: 'snapshot',
  // How long anything may take. Not less: a session has to get as far as its first statement.
  statement_timeout: '500ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  idle_session_timeout: '2s',
  transaction_timeout: '500ms',
  // How statements are planned.
  jit: 'on',
  jit_above_cost: '0',
  jit_inline_above_cost: '0',
  jit_optimize_above_cost: '0',
  plan_cache_mode: 'force_generic_plan',
  work_mem: '64kB',
  enable_indexonlyscan: 'off',
  enable_hashjoin: 'off',
  enable_hashagg: 'off',
  enable_mergejoin: 'off',
  enable_material: 'off',
  enable_sort: 'off',
  enable_incremental_sort: 'off',
  enable_memoize: 'off',
  enable_partition_pruning: 'off',
  force_parallel_mode: 'on',
  debug_parallel_query: 'on',
  parallel_setup_cost: '0',
  parallel_tuple_cost: '0',
  min_parallel_table_scan_size: '0',
  min_parallel_index_scan_size: '0',
  // With the ones above, workers would build each of some hundred empty indexes: five seconds of the processor.
  max_parallel_maintenance_workers: '0',
}

/** Comes first in the path above, before what is built in: names without a schema find these. */
const SHADOWS = `
  create schema hostile;
  grant usage on schema hostile to public;
  create function hostile.now() returns timestamptz language sql return '1970-01-01Z'::timestamptz;
  create function hostile.clock_timestamp() returns timestamptz language sql return '1970-01-01Z'::timestamptz;
  create function hostile.count(text) returns bigint language sql return 7;
  create function hostile.never(uuid, uuid) returns boolean language sql return false;
  create operator hostile.= (leftarg = uuid, rightarg = uuid, function = hostile.never);`

let made = 0

/**
 * An empty database that sets all of them for every session, and in whose language the capital of
 * `i` is not `I`.
 *
 * @returns its URL
 */
export async function createHostileDatabase(t: TestLifetime, server: TestServer): Promise<string> {
  made += 1
  const name = `test_${process.pid}_hostile_${made}`
  await withAdmin(server.url, (admin) =>
    admin.query(
      `create database ${name} encoding 'UTF8' locale_provider icu icu_locale 'tr-TR' template template0`,
    ),
  )
  t.teardown(() =>
    withAdmin(server.url, async (admin) => {
      await admin.query(`drop database if exists ${name} with (force)`)
    }),
  )
  const url = urlOf(server.url, name)
  await withAdmin(url, async (admin) => {
    await admin.query(SHADOWS)
    const { rows } = await admin.query<{ name: string }>(
      'select name from unnest($1::text[]) as name where current_setting(name, true) is not null or name like $2',
      [Object.keys(HOSTILE_SETTINGS), '%.%'],
    )
    for (const { name: setting } of rows) {
      const value = HOSTILE_SETTINGS[setting] ?? ''
      const text = setting === 'search_path' ? value : `'${value}'`
      await admin.query(`alter database ${name} set ${setting} = ${text}`)
    }
  })
  return url
}
