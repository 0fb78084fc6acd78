import type { Queryable } from '../postgres/migrate/schema-record.ts'
import { type Judgement, judge } from './setting-judgement.ts'

/** A setting that a database or role has been given, and that a session of it begins with. */
export interface ChangedSetting extends Judgement {
  setting: string
  value: string
  /** `database`, `every role`, `role ann`, `role ann in this database`. */
  of: string
}

/**
 * Which settings were changed, with `alter database` or `alter role`, for sessions that may use our schema. Those
 * of the server as a whole are not among them.
 */
export async function findChangedSettings(database: Queryable): Promise<ChangedSetting[]> {
  const { rows } = await database.query<Omit<ChangedSetting, keyof Judgement>>(CHANGED)
  return rows.map((row) => ({ ...row, ...judge(row.setting.toLowerCase(), row.value) }))
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
