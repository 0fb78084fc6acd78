import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster } from './cluster.ts'
import { type Node, signal } from './node.ts'
import { until } from './program.ts'

/** How much longer than its ttl a primary stands still, so that it wakes beside another one that is at work. */
const ZOMBIE_AFTER_SECONDS = 10
const ETCD_AWAY_AFTER_SECONDS = 10
const SWITCHOVER_SECONDS_MAX = 60
/** Cancelled within less than the five seconds after which the primary gives a silent standby up. */
const CANCEL_SECONDS_MAX = 4
const CANCELLED_MIN = 5
const CANCEL_PAUSE_MS = 50

export interface StrikeOptions {
  cluster: Cluster
  leader: Node
  standbys: Node[]
  /** For how long no standby is there, in seconds. */
  awaySeconds: number
}

/** What a strike has done, for the report. */
export interface Struck {
  /** Waits of commits that were cancelled. */
  cancelled?: number
}

/**
 * What is done to the cluster. Each resolves once it is over: a server was promoted, where one is to be, and what was
 * stopped runs again, as a host does that has been started.
 */
export const STRIKES = {
  switchover,
  'kill-primary': killPrimary,
  'kill-postmaster': killPostmaster,
  zombie: wakeAsZombie,
  'no-standby': takeStandbysAway,
  'etcd-stopped': stopEtcd,
  'cancelled-wait': cancelWaits,
} as const satisfies Record<string, (options: StrikeOptions) => Promise<Struck>>

export type Kind = keyof typeof STRIKES
export const KINDS = Object.keys(STRIKES) as Kind[]

async function switchover({ cluster, leader }: StrikeOptions): Promise<Struck> {
  // Patroni refuses while the standbys are a little behind, which they are again and again under load.
  await until('a switchover', SWITCHOVER_SECONDS_MAX, () => leader.handOver())
  await cluster.leader(leader)
  return {}
}

/** The host loses its power, and comes back when another has taken over. */
async function killPrimary({ cluster, leader }: StrikeOptions): Promise<Struck> {
  await leader.kill()
  await cluster.leader(leader)
  leader.start()
  return {}
}

/**
 * Which server is promoted is open: Patroni starts the dead one again at once, and where it is back soon enough its WAL is
 * the most recent.
 */
async function killPostmaster({ cluster, leader }: StrikeOptions): Promise<Struck> {
  const timeline = await cluster.timeline()
  await leader.killPostmaster()
  await cluster.promoted(timeline)
  return {}
}

/** Patroni and the postmaster stand still: sessions go on, and Postgres does not know that it was replaced. */
async function wakeAsZombie({ cluster, leader }: StrikeOptions): Promise<Struck> {
  await leader.freeze('zombie')
  await cluster.leader(leader)
  await delay(ZOMBIE_AFTER_SECONDS * 1000)
  await leader.thaw()
  return {}
}

async function takeStandbysAway({ standbys, awaySeconds }: StrikeOptions): Promise<Struck> {
  await Promise.all(standbys.map((standby) => standby.freeze('all')))
  await delay(awaySeconds * 1000)
  await Promise.all(standbys.map((standby) => standby.thaw()))
  return {}
}

/** For longer than the ttl: the primary goes on only by the failsafe mode. */
async function stopEtcd({ cluster }: StrikeOptions): Promise<Struck> {
  await cluster.etcd.stop()
  await delay((cluster.ttl + ETCD_AWAY_AFTER_SECONDS) * 1000)
  await cluster.etcd.start()
  return {}
}

/**
 * No standby takes anything, an operator cancels the commits that wait for one, and then the host is lost: what
 * was committed on it alone is gone. Were its postmaster killed alone, it could be promoted again, with all of it.
 */
async function cancelWaits({ cluster, leader, standbys }: StrikeOptions): Promise<Struck> {
  const receivers = await Promise.all(standbys.map((standby) => receiverOf(cluster, standby)))
  const cancelled = await withClient(cluster.urlOf(leader), async (client) => {
    signal(receivers, 'SIGSTOP')
    return await cancelUntil(client)
  })
  await leader.kill()
  // In this order: it ends before it reads what may have come meanwhile.
  signal(receivers, 'SIGTERM')
  signal(receivers, 'SIGCONT')
  await cluster.leader(leader)
  leader.start()
  return { cancelled }
}

async function receiverOf(cluster: Cluster, standby: Node): Promise<number> {
  return await withClient(cluster.urlOf(standby), async (client) => {
    const { rows } = await client.query<{ pid: number }>('select pid from pg_stat_wal_receiver')
    return rows[0]?.pid ?? 0
  })
}

async function cancelUntil(client: pg.Client): Promise<number> {
  const endsAt = performance.now() + CANCEL_SECONDS_MAX * 1000
  let cancelled = 0
  while (cancelled < CANCELLED_MIN && performance.now() < endsAt) {
    const { rowCount } = await client.query(
      `select pg_cancel_backend(pid) from pg_stat_activity
       where wait_event = 'SyncRep' and backend_type = 'client backend'`,
    )
    cancelled += rowCount ?? 0
    await delay(CANCEL_PAUSE_MS)
  }
  return cancelled
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}
