import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { parseDocument } from 'yaml'
import { postgresAccount } from '../../src/postgres/embedded/embedded-account.ts'
import { freePorts } from '../../src/testing/servers/free-port.ts'
import type { Cleanup } from '../bench/program.ts'
import { createNode, type Member, type Node } from './node.ts'
import { type Program, startProgram, until, versionOf } from './program.ts'
import { startProxy } from './proxy.ts'

/** What is run is what is given to operators. */
const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy', 'patroni')
const NAMES = ['one', 'two', 'three']
/** Of Debian's package. */
export const POSTGRES_BIN = '/usr/lib/postgresql/15/bin'
/** The first that knows quorum commit. */
const QUORUM_SINCE = 4
const START_SECONDS_MAX = 180
/** The slowest is the one that has to be rewound while its source is busy. */
const WHOLE_SECONDS_MAX = 180

export interface Cluster {
  nodes: Node[]
  etcd: { stop(): Promise<void>; start(): Promise<void> }
  /** Ways to the primary: `hosts` are all three in one URL, `proxy` cuts connections, `keeping` does not. */
  urls: Record<Way, string>
  /** Of one server, whatever it is. */
  urlOf(node: Node): string
  /** Seconds after which a primary that is silent is replaced. */
  ttl: number
  synchronousMode: string
  versions: Record<'patroni' | 'etcd' | 'haproxy' | 'postgres', string>
  /** The primary, of which the others agree; waits for one that is not `before`. */
  leader(before: Node): Promise<Node>
  /** Of the primary: a higher one with each promotion. */
  timeline(): Promise<number>
  /** Resolves once a server has been promoted since this timeline; that may be the one that was the primary before. */
  promoted(since: number): Promise<void>
  /** Resolves with the primary once both standbys follow it, and commits wait for them. */
  whole(): Promise<{ leader: Node; standbys: Node[] }>
}

export const WAYS = ['hosts', 'proxy', 'keeping'] as const
export type Way = (typeof WAYS)[number]

export interface ClusterOptions {
  /** For logs. */
  folder: string
  /** The program. */
  patroni: string
}

/** Starts etcd, three Patronis with their Postgres, and HAProxy, all on 127.0.0.1 and by the files of deploy/. */
export async function startCluster(
  cleanup: Cleanup,
  { folder, patroni }: ClusterOptions,
): Promise<Cluster> {
  const home = await makeHome(cleanup)
  const [clientPort = 0, peerPort = 0, ...ports] = await freePorts(2 + NAMES.length * 2)
  const versions = {
    patroni: versionOf(patroni, '--version'),
    etcd: versionOf('etcd', '--version'),
    haproxy: versionOf('/usr/sbin/haproxy', '-v'),
    postgres: versionOf(join(POSTGRES_BIN, 'postgres'), '--version'),
  }
  const config = await writeConfig(home, versions.patroni)
  const etcd = createEtcd(cleanup, { home, folder, clientPort, peerPort })
  await etcd.start()
  const password = randomBytes(24).toString('hex')
  const nodes = NAMES.map((name, i) => {
    const [port = 0, apiPort = 0] = ports.slice(i * 2)
    const env = environmentOf({ name, port, apiPort, home, clientPort, password })
    return createNode(cleanup, { name, port, apiPort, patroni, config: config.file, env, folder })
  })
  for (const node of nodes) node.start()
  const proxy = await startProxy(cleanup, {
    file: join(DEPLOY, 'haproxy.cfg'),
    nodes,
    home,
    folder,
  })

  const urlTo = (hosts: string) => `postgres://postgres:${password}@${hosts}/postgres`
  const hostOf = ({ port }: { port: number }) => `127.0.0.1:${port}`
  const cluster: Cluster = {
    nodes,
    etcd,
    urls: {
      hosts: `${urlTo(nodes.map(hostOf).join(','))}?target_session_attrs=read-write`,
      proxy: urlTo(hostOf({ port: proxy.cutting })),
      keeping: urlTo(hostOf({ port: proxy.keeping })),
    },
    urlOf: (node) => urlTo(hostOf(node)),
    ttl: config.ttl,
    synchronousMode: config.synchronousMode,
    versions,
    leader: (before) =>
      until('there is a primary', WHOLE_SECONDS_MAX, () => findLeader(nodes, before)),
    timeline: () => until('a primary has a timeline', WHOLE_SECONDS_MAX, () => timelineOf(nodes)),
    promoted: async (since) => {
      await until('a server is promoted', WHOLE_SECONDS_MAX, async () => {
        const timeline = await timelineOf(nodes)
        return timeline !== undefined && timeline > since
      })
    },
    whole: () => untilWhole(nodes, WHOLE_SECONDS_MAX),
  }
  await untilWhole(nodes, START_SECONDS_MAX)
  await until('the proxy leads to it', START_SECONDS_MAX, () => canWrite(cluster.urls.keeping))
  return cluster
}

/** On a disk, as in production. */
async function makeHome(cleanup: Cleanup): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'postrider-cluster-'))
  cleanup.defer(() => rm(home, { recursive: true, force: true, maxRetries: 5 }))
  const account = postgresAccount()
  for (const name of ['', 'etcd', ...NAMES]) {
    const folder = join(home, name)
    await mkdir(folder, { recursive: true })
    await chmod(folder, 0o700)
    if (account) await chown(folder, account.uid, account.gid)
  }
  return home
}

/** The file of deploy/, but for sockets, which need a folder of the system, and a watchdog. */
async function writeConfig(home: string, version: string) {
  const document = parseDocument(await readFile(join(DEPLOY, 'patroni.yml'), 'utf8'))
  const dcs = ['bootstrap', 'dcs']
  if (Number.parseInt(version, 10) < QUORUM_SINCE)
    document.setIn([...dcs, 'synchronous_mode'], true)
  document.setIn(['postgresql', 'parameters'], { unix_socket_directories: '' })
  document.setIn(['watchdog', 'mode'], 'off')
  const file = join(home, 'patroni.yml')
  await writeFile(file, String(document), { mode: 0o644 })
  return {
    file,
    ttl: Number(document.getIn([...dcs, 'ttl'])),
    synchronousMode: String(document.getIn([...dcs, 'synchronous_mode'])),
  }
}

/** The variables of deploy/patroni/node.env.example, for a host that is a port. */
function environmentOf(options: {
  name: string
  port: number
  apiPort: number
  home: string
  clientPort: number
  password: string
}): Record<string, string> {
  const { name, port, apiPort, home, clientPort, password } = options
  return {
    PATRONI_NAME: name,
    PATRONI_ETCD3_HOSTS: `127.0.0.1:${clientPort}`,
    PATRONI_RESTAPI_LISTEN: `127.0.0.1:${apiPort}`,
    PATRONI_RESTAPI_CONNECT_ADDRESS: `127.0.0.1:${apiPort}`,
    PATRONI_POSTGRESQL_LISTEN: `127.0.0.1:${port}`,
    PATRONI_POSTGRESQL_CONNECT_ADDRESS: `127.0.0.1:${port}`,
    PATRONI_POSTGRESQL_DATA_DIR: join(home, name, 'data'),
    PATRONI_POSTGRESQL_BIN_DIR: POSTGRES_BIN,
    PATRONI_POSTGRESQL_PGPASS: join(home, name, 'pgpass'),
    PATRONI_SUPERUSER_USERNAME: 'postgres',
    PATRONI_SUPERUSER_PASSWORD: password,
    PATRONI_REPLICATION_USERNAME: 'replicator',
    PATRONI_REPLICATION_PASSWORD: password,
    PATRONI_REWIND_USERNAME: 'rewinder',
    PATRONI_REWIND_PASSWORD: password,
  }
}

/** One member: it stands for the whole of etcd, which is there or away. */
function createEtcd(
  cleanup: Cleanup,
  options: { home: string; folder: string; clientPort: number; peerPort: number },
) {
  const clientUrl = `http://127.0.0.1:${options.clientPort}`
  const peerUrl = `http://127.0.0.1:${options.peerPort}`
  const args = [
    `--data-dir=${join(options.home, 'etcd')}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
  ]
  let etcd: Program | undefined
  return {
    async start() {
      etcd = startProgram(cleanup, { name: 'etcd', command: 'etcd', args, folder: options.folder })
      await until('etcd answers', START_SECONDS_MAX, () =>
        fetch(`${clientUrl}/health`).then(
          ({ ok }) => ok,
          () => false,
        ),
      )
    },
    stop: async () => await etcd?.stop(),
  }
}

async function findLeader(nodes: Node[], before: Node): Promise<Node | undefined> {
  const name = (await membersOf(nodes.filter((node) => node !== before)))?.find(isLeader)?.name
  return name === before.name ? undefined : nodes.find((node) => node.name === name)
}

async function timelineOf(nodes: Node[]): Promise<number | undefined> {
  return (await membersOf(nodes))?.find(isLeader)?.timeline
}

const isLeader = ({ role, state }: Member) => role === 'leader' && state === 'running'
/** Waited for by commits. */
const isSynchronous = ({ role }: Member) => role === 'sync_standby' || role === 'quorum_standby'

function untilWhole(nodes: Node[], seconds: number) {
  return until('the cluster is whole', seconds, async () => {
    const members = (await membersOf(nodes)) ?? []
    const leader = members.find(isLeader)
    const followers = members.filter(
      ({ state, timeline }) =>
        (state === 'streaming' || state === 'running') && timeline === leader?.timeline,
    )
    if (!leader || followers.length < nodes.length || !members.some(isSynchronous)) return undefined
    const named = (wanted: (member: Member) => boolean) =>
      nodes.filter(({ name }) => members.some((member) => member.name === name && wanted(member)))
    const [primary] = named(isLeader)
    return primary && { leader: primary, standbys: named((member) => !isLeader(member)) }
  })
}

/** As the first sees them that answers. */
async function membersOf(nodes: Node[]): Promise<Member[] | undefined> {
  for (const node of nodes) {
    const members = await node.members()
    if (members) return members
  }
  return undefined
}

async function canWrite(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 1_000 })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows } = await client.query('select pg_is_in_recovery() as "isStandby"')
    return rows[0]?.isStandby === false
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}
