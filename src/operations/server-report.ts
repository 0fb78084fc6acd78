import type { Queryable } from '../postgres/migrate/schema-record.ts'
import { type ServerState, stateOf } from '../postgres/servers.ts'

/** Which server was asked, and what about it makes an acknowledgement worth less than it says. */
export interface ServerReport {
  /** As the server sees itself, so behind a proxy it is the server and not the proxy. */
  address: string
  timeline: number | null
  /** A sentence each. */
  warnings: string[]
}

const FACTS = `
  select coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local') as address,
    current_setting('fsync') = 'off' as is_volatile,
    current_setting('full_page_writes') = 'off' as has_torn_pages,
    current_setting('synchronous_standby_names') <> '' as is_synchronous,
    (select count(*)::int from pg_stat_replication) as standbys,
    array(
      select format('%s for %s', split_part(given.config, '=', 2), given.of)
      from (
        select config, case
            when s.setrole = 0 and s.setdatabase = 0 then 'every role'
            when s.setrole = 0 then 'the database'
            else format('role %s', s.setrole::regrole)
          end as of
        from pg_db_role_setting s, unnest(s.setconfig) as config
        where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
        union all
        select 'synchronous_commit=' || boot.setting, 'the server'
        from (select reset_val as setting, source from pg_settings where name = 'synchronous_commit') as boot
        where boot.source not in ('database', 'user', 'database user', 'global')
      ) as given
      where given.config ~ '^synchronous_commit=(off|false|no|0|local|remote_write)$'
      order by 1
    ) as lowered`

interface Facts {
  address: string
  is_volatile: boolean
  has_torn_pages: boolean
  is_synchronous: boolean
  standbys: number
  lowered: string[]
}

/** Asks the server that is connected to. */
export async function reportServer(database: Queryable): Promise<ServerReport> {
  const { rows } = await database.query<Facts>(FACTS)
  const [facts] = rows
  if (!facts) throw new Error('the server says nothing of itself')
  const { timeline }: ServerState = await stateOf(database)
  return { address: facts.address, timeline, warnings: warningsOf(facts) }
}

function warningsOf(facts: Facts): string[] {
  const { standbys, lowered } = facts
  const warnings: [boolean, string][] = [
    [facts.is_volatile, 'fsync is off: what was acknowledged is lost when the machine crashes'],
    [
      facts.has_torn_pages,
      'full_page_writes is off: a crash of the machine can leave half-written pages',
    ],
    [
      standbys > 0 && !facts.is_synchronous,
      `${standbys} standbys follow, and no commit waits for them: what was acknowledged shortly before a failover is gone, and nothing here can show it`,
    ],
    [
      facts.is_synchronous && standbys === 0,
      'commits wait for a standby, and none is connected: nothing is stored until one is',
    ],
    [
      lowered.length > 0,
      `synchronous_commit is ${lowered.join(', ')}: publishing, claiming and finishing raise it; other commits can be missing after a crash or failover`,
    ],
  ]
  return warnings.filter(([applies]) => applies).map(([, text]) => text)
}
