import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { generateSecret, sign } from '../../src/sending/signature.ts'
import { plainNode } from '../../src/testing/wiring/cli.ts'
import { stopChild } from '../bench/processes.ts'

export interface RepeatOptions {
  /** Of the receiver's database, which has the inbox. */
  pool: Pool
  url: string
  events: number
  /** Requests with each event that run at the same time and are each sent until they are answered 200. */
  copies: number
  /** Receivers that are killed in a transaction, and as many after its commit. */
  kills: number
  hasInbox: boolean
}

export interface RepeatReport {
  events: number
  requests: number
  /** Requests beyond the first with their event. */
  repeats: number
  killedInTransaction: number
  killedBeforeResponse: number
  effects: number
  /** Events with more than one effect. */
  doubled: number
  /** Events without one. */
  missing: number
}

const PROGRAM = join(import.meta.dirname, 'receiver.ts')
const RECEIVERS = 2
/** Events that are sent at the same time; each holds up to as many connections as it has copies. */
const EVENTS_AT_ONCE = 3
const STAYS = ['in the transaction', 'before the response'] as const
type Stay = (typeof STAYS)[number]

/** Sends each event several times to receivers that are killed, and counts what came of it. */
export async function runRepeats(options: RepeatOptions): Promise<RepeatReport> {
  const { pool, events, copies } = options
  await pool.query('drop table if exists effect')
  await pool.query('create table effect (event text not null)')
  await using receivers = await startReceivers(options)
  const numbers = Array.from({ length: events }, (_, n) => n)
  let requests = 0
  const sendAll = async (): Promise<void> => {
    for (let n = numbers.pop(); n !== undefined; n = numbers.pop()) {
      const id = `event-${n}`
      const sent = await sendCopies(receivers, id, copies, stayOf(options, n))
      requests += sent
    }
  }
  await Promise.all(Array.from({ length: EVENTS_AT_ONCE }, sendAll))
  return {
    events,
    requests,
    repeats: requests - events,
    ...receivers.killed,
    ...(await countEffects(pool, events)),
  }
}

/** The first events, in turns. */
const stayOf = ({ kills }: RepeatOptions, n: number): Stay | undefined =>
  n < kills * STAYS.length ? STAYS[n % STAYS.length] : undefined

async function countEffects(pool: Pool, events: number) {
  const { rows } = await pool.query(
    `select coalesce(sum(times), 0)::int as effects, count(*) filter (where times > 1)::int as doubled,
       $1 - count(*)::int as missing
     from (select count(*) as times from effect group by event) e`,
    [events],
  )
  return rows[0] as { effects: number; doubled: number; missing: number }
}

/**
 * Where a receiver is to be killed, the others are sent while it has the first.
 *
 * @returns how many requests that took
 */
async function sendCopies(
  receivers: Receivers,
  id: string,
  copies: number,
  stay: Stay | undefined,
): Promise<number> {
  const first = sendUntilAccepted(receivers, id, stay)
  if (stay) await receivers.reached(id)
  const others = Array.from({ length: copies - 1 }, () => sendUntilAccepted(receivers, id))
  const tries = await Promise.all([first, ...others])
  return tries.reduce((sum, each) => sum + each, 0)
}

async function sendUntilAccepted(receivers: Receivers, id: string, stay?: Stay): Promise<number> {
  for (let tries = 1; ; tries += 1) {
    const headers = stay && !receivers.hasReached(id) ? { 'x-stay': stay } : {}
    if ((await send(receivers, id, headers)) === 200) return tries
  }
}

/** @returns null when there was no response */
async function send(receivers: Receivers, id: string, more: object): Promise<number | null> {
  const timestampSeconds = Math.floor(Date.now() / 1_000)
  const body = '{"type":"invoice.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{}}'
  const signature = sign({ id, timestampSeconds, body, secrets: [receivers.secret] })
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signature,
    ...more,
  }
  try {
    const response = await fetch(await receivers.nextUrl(), { method: 'POST', headers, body })
    await response.arrayBuffer()
    return response.status
  } catch {
    return null
  }
}

interface Receivers extends AsyncDisposable {
  secret: string
  /** Of one after another; waits until it runs. */
  nextUrl(): Promise<string>
  /** Resolves when a receiver stays with the event, and is about to be killed. */
  reached(id: string): Promise<void>
  hasReached(id: string): boolean
  killed: { killedInTransaction: number; killedBeforeResponse: number }
}

async function startReceivers({ url, hasInbox }: RepeatOptions): Promise<Receivers> {
  const secret = generateSecret()
  const killed = { killedInTransaction: 0, killedBeforeResponse: 0 }
  const args = ['--database', url, '--secret', secret, '--inbox', hasInbox ? '1' : '0']
  const children = new Set<ChildProcess>()
  const reached = new Set<string>()
  const arrivals = new EventEmitter<Record<string, []>>()

  const start = async (index: number): Promise<string> => {
    const child = spawn(...plainNode(PROGRAM, ...args), {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    children.add(child)
    const [{ port }] = (await once(child, 'message')) as [{ port: number }]
    child.once('message', ({ id, place }: { id: string; place: Stay }) => {
      killed[place === 'in the transaction' ? 'killedInTransaction' : 'killedBeforeResponse'] += 1
      children.delete(child)
      reached.add(id)
      arrivals.emit(id)
      setImmediate(() => child.kill('SIGKILL')) // the others have been sent by then
      urls[index] = start(index)
    })
    return `http://127.0.0.1:${port}/`
  }

  const urls = Array.from({ length: RECEIVERS }, (_, index) => start(index))
  let sent = 0
  return {
    secret,
    killed,
    nextUrl: () => urls[sent++ % RECEIVERS] as Promise<string>,
    hasReached: (id) => reached.has(id),
    async reached(id) {
      if (!reached.has(id)) await once(arrivals, id)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...children].map((child) => stopChild(child)))
    },
  }
}
