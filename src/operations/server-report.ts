import type { Queryable } from '../postgres/migrate/schema-record.ts'
import { type ServerState, stateOf } from '../postgres/servers.ts'

/** Which server was asked, and what about it makes an acknowledgement worth less than it says. */
export interface ServerReport {
  /** As the server sees itself, so behind a proxy it is the server and not the proxy. */
  address: string
  timeline: number | null
  /** Newest last; those of which something stored is still kept. */
  failovers: Failover[]
  /** A sentence each. */
  warnings: string[]
}

/** One server, or a restore to a point in time, took over from another. */
interface Failover {
  /** When a process of ours first saw the new timeline; null = none has yet. */
  at: Date | null
  timeline: number
  /** Whether what was acknowledged before is known to be there. */
  isLossless: boolean
  /** For people. */
  text: string
}

/** Backups and subscribers of logical replication are senders as well, and no standbys. */
const FACTS = `
  with standby as (
    select r.sync_state from pg_stat_replication r
    where r.state is distinct from 'backup' and not exists (
      select from pg_replication_slots s where s.active_pid = r.pid and s.slot_type = 'logical')
  )
  select coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'local') as address,
    current_setting('fsync') = 'off' as is_volatile,
    current_setting('full_page_writes') = 'off' as has_torn_pages,
    current_setting('synchronous_standby_names') <> '' as is_synchronous,
    -- What a role may not see of another one is null, and counts as what it is to be.
    (select count(*)::int from standby) as standbys,
    (select count(*)::int from standby s where s.sync_state is null or s.sync_state in ('sync', 'quorum')) as waited_for,
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
          -- This session may have raised it since: then what it began with is that of its database or role.
          and not exists (
            select from pg_db_role_setting s, unnest(s.setconfig) as config
            where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
              and s.setrole in (0, (select oid from pg_roles where rolname = session_user))
              and config like 'synchronous_commit=%')
      ) as given
      where given.config ~* '^synchronous_commit=(off|false|no|0|local|remote_write)$'
      order by 1
    ) as lowered`

interface Facts {
  address: string
  is_volatile: boolean
  has_torn_pages: boolean
  is_synchronous: boolean
  standbys: number
  /** Of them, those that commits can wait for. */
  waited_for: number
  lowered: string[]
}

/** Asks the server that is connected to. */
export async function reportServer(database: Queryable): Promise<ServerReport> {
  const { rows } = await database.query<Facts>(FACTS)
  const [facts] = rows
  if (!facts) throw new Error('the server says nothing of itself')
  const { timeline, system } = await stateOf(database)
  const failovers = await findFailovers(database, { timeline, system })
  const losses = failovers.filter(({ isLossless }) => !isLossless).map(({ text }) => text)
  return {
    address: facts.address,
    timeline,
    failovers,
    warnings: [...losses, ...warningsOf(facts)],
  }
}

interface FailoverRow {
  at: Date | null
  timeline: number
  was_synchronous: boolean
  last_seen_at: Date
}

/** Those that are noted, as long as there are days from before them, and one that nobody has noted yet. */
const FAILOVERS = `
  select f.at, f.timeline, f.was_synchronous, f.last_seen_at
  from postrider.failover f
  where f.system_identifier = $1 and f.at::date >= (select min(day) from postrider.partition)
  union all
  (select null, $2::int, t.is_synchronous, t.seen_at from postrider.timeline t
   where t.system_identifier = $1
     and not exists (select from postrider.timeline n where n.system_identifier = $1 and n.timeline >= $2)
   order by t.timeline desc limit 1)
  order by timeline`

async function findFailovers(
  database: Queryable,
  { timeline, system }: Pick<ServerState, 'timeline' | 'system'>,
): Promise<Failover[]> {
  if (timeline === null) return []
  const { rows } = await database.query<FailoverRow>(FAILOVERS, [system, timeline])
  return rows.map((row) => {
    const isLossless = row.was_synchronous && !isSilent(row)
    return { at: row.at, timeline: row.timeline, isLossless, text: wordsFor(row) }
  })
}

/** Longer than Patroni takes to find a primary dead, and than the pause between two looks at a timeline. */
const SILENCE_MS_MAX = 60_000

/**
 * The new primary knows of the old one what that had sent it. Where it had heard nothing for long, the old one may
 * have gone on without a standby.
 */
const isSilent = ({ at, last_seen_at }: FailoverRow): boolean =>
  (at?.getTime() ?? Date.now()) - last_seen_at.getTime() > SILENCE_MS_MAX

function wordsFor(row: FailoverRow): string {
  const seen = row.last_seen_at.toISOString()
  const when = row.at
    ? `at ${row.at.toISOString()}`
    : `after ${seen}, which no runner has seen yet,`
  const what = `failover ${when} to timeline ${row.timeline}`
  if (!row.was_synchronous) {
    return `${what}; not synchronous: what was acknowledged shortly before can be gone`
  }
  return isSilent(row)
    ? `${what}; synchronous when last heard of at ${seen}: what was acknowledged after that can be gone`
    : `${what}; synchronous: what was acknowledged is there, unless a standby that commits did not wait for was promoted`
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
      facts.is_synchronous && facts.waited_for === 0,
      standbys === 0
        ? 'commits wait for a standby, and none is connected: nothing is stored until one is'
        : `commits wait for a standby, and no connected one (${standbys}) is named in synchronous_standby_names: nothing is stored until one is`,
    ],
    [
      lowered.length > 0,
      `synchronous_commit is ${lowered.join(', ')}: publishing, claiming and finishing raise it; other commits can be missing after a crash or failover`,
    ],
  ]
  return warnings.filter(([applies]) => applies).map(([, text]) => text)
}
