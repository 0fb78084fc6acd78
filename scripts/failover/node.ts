import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readPidFile } from '../../src/postgres/embedded/postmaster.ts'
import { isAlive } from '../../src/postgres/process-lock.ts'
import type { Cleanup } from '../bench/program.ts'
import { type Program, startProgram, until } from './program.ts'

/** Patroni answers within milliseconds, or is stopped. */
const ASK_MS_MAX = 2_000
/** The old primary saves and stops first. */
const SWITCHOVER_MS_MAX = 60_000
const STOP_SECONDS_MAX = 20

/** What Patroni says of one server. Versions 3 and 4 have different words for a standby that follows. */
export interface Member {
  name: string
  role: string
  state: string
  timeline?: number
}

/** A host: a Postgres with the Patroni that looks after it. */
export interface Node {
  name: string
  /** Of its Postgres. */
  port: number
  /** Of its Patroni. */
  apiPort: number
  /** Starts Patroni, which starts Postgres: what systemd does when a host comes back. */
  start(): void
  /** Ends every process of it at once, as a power cut does. */
  kill(): Promise<void>
  /** Ends the postmaster alone; Postgres' other processes notice, and Patroni. */
  killPostmaster(): Promise<void>
  /** Stops where they are: Patroni and the postmaster, so that sessions go on, or all processes. */
  freeze(what: 'zombie' | 'all'): Promise<void>
  thaw(): Promise<void>
  /** All members of the cluster, as it sees them; undefined when it does not answer. */
  members(): Promise<Member[] | undefined>
  /** Asks it to hand over to whichever standby is quicker; false when it will not now. */
  handOver(): Promise<boolean>
}

export interface NodeOptions {
  name: string
  port: number
  apiPort: number
  /** Of the program, and its configuration. */
  patroni: string
  config: string
  env: Record<string, string>
  folder: string
}

export function createNode(cleanup: Cleanup, options: NodeOptions): Node {
  const { name, port, apiPort, folder } = options
  const dataDir = options.env['PATRONI_POSTGRESQL_DATA_DIR'] ?? ''
  const url = `http://127.0.0.1:${apiPort}`
  let patroni: Program | undefined
  let frozen: number[] = []
  const postmaster = async () => (await readPidFile(dataDir))?.pid

  const node: Node = {
    name,
    port,
    apiPort,
    start() {
      patroni = startProgram(cleanup, {
        ...{ name, command: options.patroni, args: [options.config], folder },
        env: { ...options.env, HOME: folder },
      })
    },
    async kill() {
      const pids = await withChildren(await postmaster())
      patroni?.signal('SIGKILL')
      signal(pids, 'SIGKILL')
      await patroni?.stop()
      await until(`${name} is dead`, STOP_SECONDS_MAX, () => !pids.some(isRunning))
    },
    async killPostmaster() {
      signal([(await postmaster()) ?? 0], 'SIGKILL')
    },
    async freeze(what) {
      const pid = (await postmaster()) ?? 0
      frozen = [patroni?.pid ?? 0, ...(what === 'all' ? await withChildren(pid) : [pid])]
      signal(frozen, 'SIGSTOP')
    },
    async thaw() {
      signal(frozen, 'SIGCONT')
      frozen = []
    },
    async members() {
      const response = await fetch(`${url}/cluster`, { signal: AbortSignal.timeout(ASK_MS_MAX) })
        .then((answer) => answer.json())
        .catch(() => undefined)
      return (response as { members?: Member[] } | undefined)?.members
    },
    async handOver() {
      const response = await fetch(`${url}/switchover`, {
        method: 'POST',
        // With a candidate named, Patroni lets every other standby wait 2 s before it follows, and no commit is answered before.
        body: JSON.stringify({ leader: name }),
        signal: AbortSignal.timeout(SWITCHOVER_MS_MAX),
      }).catch(() => undefined)
      return response?.ok ?? false
    },
  }
  cleanup.defer(() => stopNode(node, postmaster))
  return node
}

/** In good order for nobody: its data is removed next. */
async function stopNode(node: Node, postmaster: () => Promise<number | undefined>): Promise<void> {
  await node.thaw()
  const pid = await postmaster()
  await node.kill().catch(() => undefined)
  if (pid !== undefined && isAlive(pid)) signal([pid], 'SIGKILL')
}

/** A process and those that it has started. */
async function withChildren(pid: number | undefined): Promise<number[]> {
  if (pid === undefined || !isAlive(pid)) return []
  const text = await readFile(join('/proc', `${pid}`, 'task', `${pid}`, 'children'), 'utf8').catch(
    () => '',
  )
  return [
    pid,
    ...text
      .split(' ')
      .map(Number)
      .filter((child) => child > 0),
  ]
}

/** Whether it still runs. A process that has ended, and that its parent has not collected yet, does not. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

export function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      if (pid > 1) process.kill(pid, name)
    } catch {
      // It has ended meanwhile.
    }
  }
}
