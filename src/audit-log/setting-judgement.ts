import { isSetBySessions } from '../postgres/session-settings.ts'

export interface Judgement {
  /** Whether it changes what Postrider does: `perhaps` is about how long that takes, and where. */
  matters: 'no' | 'perhaps' | 'yes'
  detail: string
}

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

/** What a setting of a database or role does to Postrider. */
export function judge(setting: string, value: string): Judgement {
  const known = KNOWN[setting]
  if (typeof known === 'function') return known(value)
  if (known) return known
  if (isSetBySessions(setting)) return NO_EFFECT
  return PLANNER.test(setting) ? PLANS : NOT_READ
}
