import type { Queryable } from '../postgres/migrate/schema-record.ts'
import { isSetBySessions } from '../postgres/session-settings.ts'

/** A setting that a database or role has been given, and that a session of it begins with. */
export interface ChangedSetting {
  setting: string
  value: string
  /** `database`, `every role`, `role ann`, `role ann in this database`. */
  of: string
  /** Whether it changes what Postrider does: `perhaps` is about how long that takes, and where. */
  matters: 'no' | 'perhaps' | 'yes'
  detail: string
}

type Judgement = Pick<ChangedSetting, 'matters' | 'detail'>

const NO_EFFECT: Judgement = {
  matters: 'no',
  detail: 'Postrider and its functions set their own, where it would change what they do',
}
const NOT_READ: Judgement = { matters: 'no', detail: 'nothing of Postrider reads it' }
const PLANS: Judgement = {
  matters: 'perhaps',
  detail: 'statements can be planned so that they take longer; was it meant for other programs?',
}
/** The planner's, as the manual lists them. */
const PLANNER =
  /^(enable_|geqo|.*_cost$|(from|join)_collapse_limit$|cursor_tuple_fraction$|constraint_exclusion$|default_statistics_target$|effective_cache_size$|effective_io_concurrency$)/

/** Settings that only their owner can judge, or that break a promise. A function where the value decides. */
const KNOWN: Readonly<Record<string, Judgement | ((value: string) => Judgement)>> = {
  session_replication_role: (value) =>
    value === 'origin'
      ? NOT_READ
      : {
          matters: 'yes',
          detail:
            'triggers do not fire: a new endpoint gets no events, and attached tables publish nothing',
        },
  // Below `on`, commits wait for no standby, or not for its disk; Postgres takes other words for on and off as well.
  synchronous_commit: (value) =>
    ['on', 'remote_apply', 'true', 'yes', '1'].includes(value)
      ? NOT_READ
      : {
          matters: 'perhaps',
          detail:
            'publish, claim and finish raise it to on; other commits of your programs can be missing after a failover',
        },
  role: {
    matters: 'yes',
    detail: 'sessions act as that role: it needs the rights, and the audit log names it',
  },
  // Ours begin read-write and read committed; what a producer begins is its own.
  default_transaction_read_only: (value) =>
    value === 'on'
      ? { matters: 'perhaps', detail: 'Postrider writes; a producer has to begin read write' }
      : NO_EFFECT,
  default_transaction_isolation: {
    matters: 'perhaps',
    detail: 'Postrider has its own; a producer has to try again what ends with 40001',
  },
  default_tablespace: { matters: 'perhaps', detail: 'each new day of events is stored there' },
  default_table_access_method: {
    matters: 'perhaps',
    detail: 'each new day of events is stored so',
  },
  temp_file_limit: { matters: 'perhaps', detail: 'a statement that needs more is ended' },
}

/**
 * Which settings were changed, with `alter database` or `alter role`, for sessions that may use our schema. Those
 * of the server as a whole are not among them.
 */
export async function findChangedSettings(database: Queryable): Promise<ChangedSetting[]> {
  const { rows } = await database.query<Omit<ChangedSetting, keyof Judgement>>(CHANGED)
  return rows.map((row) => ({ ...row, ...judge(row.setting.toLowerCase(), row.value) }))
}

function judge(setting: string, value: string): Judgement {
  const known = KNOWN[setting]
  if (typeof known === 'function') return known(value)
  if (known) return known
  if (isSetBySessions(setting)) return NO_EFFECT
  return PLANNER.test(setting) ? PLANS : NOT_READ
}

const CHANGED = `
  select split_part(config, '=', 1) as setting, substr(config, strpos(config, '=') + 1) as value,
    case
      when s.setrole = 0 and s.setdatabase = 0 then 'every role'
      when s.setrole = 0 then 'database'
      when s.setdatabase = 0 then format('role %s', s.setrole::regrole)
      else format('role %s in this database', s.setrole::regrole)
    end as of
  from pg_db_role_setting s, unnest(s.setconfig) as config
  where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
    and (s.setrole = 0 or has_schema_privilege(s.setrole, 'postrider', 'usage'))
  order by setting, of`
