/**
 * A receiver in a process that is going to be killed: it inserts a row for each event, with the inbox or without it.
 *
 * It sends its port to the process that started it, and where it is when a request asks it to stay there.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import pg, { type PoolClient } from 'pg'
import { createInbox, verifySigned } from '../../src/inbox/inbox.ts'
import { readOptions } from '../bench/options.ts'

/** Copies of one event wait for its first, each with a connection. */
const CONNECTIONS_MAX = 30

const { database, secret, inbox } = readOptions({
  database: { default: '', help: 'URL of the database with the table of effects' },
  secret: { default: '', help: 'of the endpoint' },
  inbox: { default: 1, help: '0 for a receiver that does not recognize repeats' },
})
const pool = new pg.Pool({ connectionString: database, max: CONNECTIONS_MAX })
pool.on('error', () => undefined) // Postgres is stopped at the end
const applied = createInbox({ database: pool, secrets: secret })

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.writeHead(500).end())
})
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port })
})
process.on('disconnect', () => process.exit(0)) // anyone who started it is gone

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const signed = { headers: request.headers, body: await buffer(request) }
  const place = request.headers['x-stay']
  const stay = async (here: string) => {
    if (here === place) await untilKilled(String(request.headers['webhook-id']), here)
  }
  const status = inbox ? await withInbox(signed, stay) : await withoutInbox(signed, stay)
  await stay('before the response')
  response.writeHead(status).end()
}

type Signed = Parameters<typeof verifySigned>[0]
type Stay = (here: string) => Promise<void>

async function withInbox(signed: Signed, stay: Stay): Promise<number> {
  const { status } = await applied.receive(signed, ({ id }, tx) => apply(id, tx, stay))
  return status
}

async function withoutInbox(signed: Signed, stay: Stay): Promise<number> {
  const { id } = verifySigned(signed, secret)
  const client = await pool.connect()
  await client.query('begin')
  await apply(id, client, stay)
  await client.query('commit')
  client.release()
  return 200
}

async function apply(id: string, tx: PoolClient, stay: Stay): Promise<void> {
  await tx.query('insert into effect (event) values ($1)', [id])
  await stay('in the transaction')
}

async function untilKilled(id: string, place: string): Promise<void> {
  process.send?.({ id, place })
  await once(process, 'never')
}
