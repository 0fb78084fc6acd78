import type { QueryResult } from 'pg'

/** Names of settings and their values. */
export type Settings = Readonly<Record<string, string>>

/** What keeps other programs from being held up by a process that hangs; no transaction takes this long. */
const IDLE_IN_TRANSACTION_MS_MAX = 60_000

/**
 * What each of our sessions sets when it begins, whatever the server, the database or the role has: the
 * settings that our statements, or the driver, read and write by. A pool adds its own, such as how statements
 * are planned. `postrider doctor` knows by this list which changed settings do no harm.
 *
 * Only what any role may set is here. What producers call sets its own (sql/functions/service/function_settings.sql).
 */
const SESSION_SETTINGS: Settings = {
  // Names without a schema are those of Postgres; ours all say their schema.
  search_path: 'pg_catalog, pg_temp',

  // Compiling a plan takes up to a second, once its estimated cost is high, and ours say with
  // `enable_seqscan = off` that theirs is: see service/function_settings.sql.
  jit: 'off',
  // Ours are short; workers would take longer to start than most of them run.
  max_parallel_workers_per_gather: '0',

  // How values are written and read; the driver takes times and intervals as these say.
  datestyle: 'ISO, MDY',
  intervalstyle: 'postgres',
  timezone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  client_encoding: 'UTF8',
  // Above it nobody would hear that a commit did not wait for the standby: see CommitNotReplicated.
  client_min_messages: 'warning',

  // How the text of a statement is understood.
  standard_conforming_strings: 'on',
  transform_null_equals: 'off',
  check_function_bodies: 'on',
  'plpgsql.extra_errors': 'none',
  // An error ends a statement; where a lock is not waited for, it is caught.
  exit_on_error: 'off',

  // What a transaction sees. Whether it may write: see READ_ONLY_BY_DEFAULT.
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  row_security: 'on',

  // For how long anything may take: a pool adds the limits that it needs. Connections are kept.
  statement_timeout: '0',
  lock_timeout: '0',
  idle_session_timeout: '0',
  idle_in_transaction_session_timeout: `${IDLE_IN_TRANSACTION_MS_MAX}`,
}

/** Postgres 17 has both; 15 and 16 refuse the name of the first, and before 15.8 and 16.4 that of the second. */
const SOME_VERSIONS_ONLY: Settings = {
  transaction_timeout: '0',
  // Ours are read by views.
  restrict_nonsystem_relation_kind: '',
}

/**
 * Whether the database or the role is why transactions are read-only, which is meant for people; ours write. A
 * whole server that is read-only, as a standby or one whose disk is nearly full, is an outage and stays one.
 */
export const READ_ONLY_BY_DEFAULT = `
  pg_catalog.current_setting('default_transaction_read_only')::boolean and exists (
    select from pg_catalog.pg_show_all_settings()
    where name = 'default_transaction_read_only' and source in ('global', 'database', 'user', 'database user'))`

/**
 * What we answer has been stored is on the standby that takes over, or on disk where there is none, also where
 * the database or the role was given less. Never less than what was given. A pool whose commits may be forgotten says
 * so in its own settings. The functions that producers call do the same (postrider.make_commit_durable).
 */
const DURABLE_COMMITS = (scope: Scope) => `
  select pg_catalog.set_config('synchronous_commit', 'on', ${scope === 'local'})
  where pg_catalog.current_setting('synchronous_commit') in ('off', 'local', 'remote_write')`

type Scope = 'session' | 'local'

/** Whether our sessions set it themselves. In lower case, as names do not tell cases apart. */
export function isSetBySessions(setting: string): boolean {
  return setting in SESSION_SETTINGS || setting in SOME_VERSIONS_ONLY
}

/** A client, or one of a pool. */
type Session = { query(text: string): Promise<QueryResult> }

/** Sets them for the session, in one round trip. */
export async function setUpSession(session: Session, own: Settings = {}): Promise<void> {
  await session.query(`${statementsOf(own, 'session')};
    select pg_catalog.set_config('default_transaction_read_only', 'off', false) where ${READ_ONLY_BY_DEFAULT}`)
}

/**
 * The same for a transaction, by the statement that begins it: behind a pooler in transaction mode, the next
 * one may come on another session, and what is set for a session there is set for everybody else.
 */
export async function createBegin(session: Session, own: Settings = {}): Promise<string> {
  const settings = statementsOf(own, 'local')
  const answers = await session.query(
    `begin; ${settings}; select ${READ_ONLY_BY_DEFAULT} as read_only; commit`,
  )
  // One of each statement, which the types of pg leave out.
  const answer = [answers]
    .flat()
    .find(({ fields }) => fields.some(({ name }) => name === 'read_only'))
  const access = answer?.rows[0]?.read_only ? 'read write' : ''
  return `begin isolation level read committed ${access}; ${settings}`
}

function statementsOf(own: Settings, scope: Scope): string {
  const settings = Object.entries({ ...SESSION_SETTINGS, ...own }).map(([name, value]) => {
    // A list of names is no string: quoted it would be one name.
    return `set ${scope} ${name} = ${name === 'search_path' ? value : `'${value}'`}`
  })
  const others = Object.entries(SOME_VERSIONS_ONLY).map(
    ([name, value]) =>
      `select pg_catalog.set_config('${name}', '${value}', ${scope === 'local'})
       where pg_catalog.current_setting('${name}', true) is not null`,
  )
  const durable = own['synchronous_commit'] === undefined ? [DURABLE_COMMITS(scope)] : []
  return [...settings, ...others, ...durable].join(';\n')
}
