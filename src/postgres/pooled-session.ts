import type { PoolClient, QueryResult } from 'pg'
import { createBegin, type Settings } from './session-settings.ts'

type Send = (...args: unknown[]) => Promise<QueryResult>
type Callback = (error: Error | null, result?: QueryResult) => void

/** `cannot set transaction read-write mode during recovery`: the server is a standby. */
const FEATURE_NOT_SUPPORTED = '0A000'
const READ_ONLY_TRANSACTION = '25006'

/**
 * Lets a client work through a pooler in transaction mode, whose sessions belong to nobody.
 *
 * Nothing outlives a transaction there. So each begins with our settings, and a statement by itself becomes a
 * transaction; with `pipeline` that costs no round trip. What was prepared by name is not there the next time,
 * so names are taken off.
 */
export async function workBehindPooler(client: PoolClient, settings: Settings): Promise<void> {
  const send = client.query.bind(client) as unknown as Send
  const begin = await createBegin(client, settings)
  let isOpen = false

  const start = async () => {
    try {
      return await send(begin)
    } catch (error) {
      isOpen = false
      await send('rollback').catch(() => undefined) // fails only with the connection
      throw asOutage(error)
    }
  }
  const alone = async (args: unknown[]) => {
    const [, result] = await inOrder([start(), send(...args), send('commit')])
    return result
  }
  const run = (args: unknown[]): Promise<QueryResult> => {
    const text = textOf(args[0])
    if (text === 'begin') {
      isOpen = true
      return start()
    }
    if (!isOpen) return alone(args)
    if (text === 'commit' || text === 'rollback') isOpen = false
    return send(...args)
  }
  client.query = ((...args: unknown[]) => {
    const callback = typeof args.at(-1) === 'function' ? (args.pop() as Callback) : undefined
    const result = run(withoutName(args))
    if (!callback) return result
    result.then((rows) => callback(null, rows), callback)
    return undefined
  }) as typeof client.query
}

function textOf(query: unknown): unknown {
  return typeof query === 'object' && query !== null && 'text' in query ? query.text : query
}

function withoutName([query, ...rest]: unknown[]): unknown[] {
  const isNamed = typeof query === 'object' && query !== null && 'name' in query
  return [isNamed ? { ...query, name: undefined } : query, ...rest]
}

/** A transaction that may write is refused by a standby in other words than a write is. */
function asOutage(error: unknown): unknown {
  if ((error as { code?: unknown }).code !== FEATURE_NOT_SUPPORTED) return error
  return Object.assign(new Error('the server is a standby', { cause: error }), {
    code: READ_ONLY_TRANSACTION,
  })
}

/**
 * The results of statements that are on their way one behind the other, without waiting for each
 * answer. Waits for all of them, as nothing may be left on a connection that is given back; the
 * first failure is the cause of the others.
 */
export async function inOrder<T extends readonly Promise<unknown>[]>(
  statements: T,
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  const settled = await Promise.allSettled(statements)
  const failed = settled.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
  return Promise.all(statements) as never
}
