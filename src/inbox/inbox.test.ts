import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect, sql } from 'kysely'
import pg, { type Pool, type PoolClient } from 'pg'
import t from 'tap'
import { generateSecret, publicKeyOf, sign } from '../sending/signature.ts'
import type { PrismaTransaction } from '../sql-in-transaction.ts'
import { untilHolds } from '../testing/until.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import {
  type Answer,
  createInbox,
  type InboxOptions,
  InvalidSignature,
  type ReceivedEvent,
  receive,
  type Secret,
  type Transaction,
  verifySigned,
} from './inbox.ts'

// A pool as receivers have it: that of the service's own programs has other settings.
const { url } = await createTestDatabase(t)
const pool = new pg.Pool({ connectionString: url, application_name: 'receiver' })
pool.on('error', () => undefined) // its connections are cut at the end, when the database is dropped
t.teardown(() => pool.end())
await pool.query(readFileSync(join(import.meta.dirname, '../../sql/inbox.sql'), 'utf8'))
await pool.query('create table effect (event text not null, what text not null)')

const INSERT = 'insert into effect (event, what) values ($1, $2)'
const SECRET = generateSecret()
let made = 0

/** Prisma's client has this method, and hands in what src/outbox/outbox.test.ts says. */
const prismaLike = (of: Pool) => ({
  async $transaction<T>(work: (tx: PrismaTransaction) => Promise<T>): Promise<T> {
    const client = await of.connect()
    try {
      await client.query('begin')
      const result = await work({
        $queryRawUnsafe: async (text: string, ...values: unknown[]) =>
          (await client.query(text, values)).rows,
      })
      await client.query('commit')
      return result
    } catch (error) {
      await client.query('rollback')
      throw error
    } finally {
      client.release()
    }
  },
})

const options = { secrets: SECRET }
const inPg = createInbox({ ...options, database: pool })
const inKysely = createInbox({
  ...options,
  database: new Kysely<{ effect: { event: string; what: string } }>({
    dialect: new PostgresDialect({ pool }),
  }),
})
const inDrizzle = createInbox({ ...options, database: drizzle({ client: pool }) })
const inPrisma = createInbox({ ...options, database: prismaLike(pool) })

type Run = (statement: string) => Promise<unknown>
type Work = (event: ReceivedEvent, run: Run) => unknown
type Receive = (request: ReturnType<typeof signed>, work?: Work) => Promise<Answer>

/** Each inserts with its own library's types, and then does what the test wants. */
const LIBRARIES: [string, Receive][] = [
  [
    'pg',
    (request, work) =>
      inPg.receive(request, async (event, tx) => {
        const client: PoolClient = tx
        await client.query(INSERT, [event.id, event.type])
        await work?.(event, (text) => client.query(text))
      }),
  ],
  [
    'Kysely',
    (request, work) =>
      inKysely.receive(request, async (event, tx) => {
        await tx.insertInto('effect').values({ event: event.id, what: event.type }).execute()
        await work?.(event, (text) => sql.raw(text).execute(tx))
      }),
  ],
  [
    'Drizzle',
    (request, work) =>
      inDrizzle.receive(request, async (event, tx) => {
        await tx.execute(
          drizzleSql`insert into effect (event, what) values (${event.id}, ${event.type})`,
        )
        await work?.(event, (text) => tx.execute(text))
      }),
  ],
  [
    'a stand-in for Prisma',
    (request, work) =>
      inPrisma.receive(request, async (event, tx) => {
        await tx.$queryRawUnsafe(INSERT, event.id, event.type)
        await work?.(event, async (text) => tx.$queryRawUnsafe(text))
      }),
  ],
]

const refuse = (): never => {
  throw new Error('nothing is to be applied')
}
const newId = (): string => `event-${++made}`
const bodyOf = (type = 'invoice.paid') =>
  JSON.stringify({ type, timestamp: '2026-01-01T00:00:00.000Z', data: { id: 1, name: 'Zoë' } })

function signed(
  id = newId(),
  body = bodyOf(),
  { secrets = [SECRET], secondsAgo = 0 }: { secrets?: string[]; secondsAgo?: number } = {},
) {
  const timestampSeconds = Math.floor(Date.now() / 1_000) - secondsAgo
  const headers: Record<string, string> = {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': sign({ id, timestampSeconds, body, secrets }),
  }
  return { id, headers, body }
}

async function effectsOf(id: string): Promise<string[]> {
  const { rows } = await pool.query('select what from effect where event = $1', [id])
  return rows.map(({ what }) => what)
}

for (const [library, receiveIn] of LIBRARIES) {
  t.test(`${library}: an event is applied once, and its repeats are answered 200`, async (t) => {
    const request = signed()
    const seen: ReceivedEvent[] = []
    const first = await receiveIn(request, (event) => seen.push(event))
    t.strictSame(first, { status: 200, body: '{"applied":1,"repeats":0}' })
    t.strictSame(await receiveIn(request), { status: 200, body: '{"applied":0,"repeats":1}' })
    t.strictSame(await effectsOf(request.id), ['invoice.paid'])
    const data = { id: 1, name: 'Zoë' }
    const timestamp = '2026-01-01T00:00:00.000Z'
    t.strictSame(seen, [{ id: request.id, type: 'invoice.paid', timestamp, data }])
  })

  t.test(
    `${library}: what a handler rejects with arrives, and the repeat is applied`,
    async (t) => {
      const request = signed()
      const declined = receiveIn(request, () => Promise.reject(new Error('the card was declined')))
      await t.rejects(declined, { message: 'the card was declined' })
      t.strictSame(await effectsOf(request.id), [])
      t.match(await receiveIn(request), { status: 200 })
      t.strictSame(await effectsOf(request.id), ['invoice.paid'])
    },
  )

  t.test(`${library}: what is rolled back behind a handler is not called applied`, async (t) => {
    const request = signed()
    const failing = "insert into effect values (null, 'failed')"
    const caught = receiveIn(request, (_, run) => run(failing).catch(() => undefined))
    await t.rejects(caught, { code: 'transaction_rolled_back', message: /savepoint/ })
    const ended = receiveIn(request, (_, run) => run('rollback'))
    await t.rejects(ended, { code: 'transaction_rolled_back' })
    t.strictSame(await effectsOf(request.id), [])
    const savepoint = async (_: ReceivedEvent, run: Run) => {
      await run('savepoint before_it')
      await run(failing).catch(() => run('rollback to before_it'))
    }
    t.match(await receiveIn(request, savepoint), { body: '{"applied":1,"repeats":0}' })
    t.strictSame(await effectsOf(request.id), ['invoice.paid'])
  })

  t.test(`${library}: a repeat waits for the first, and does what that leaves`, async (t) => {
    for (const end of ['commits', 'rolls back']) {
      const request = signed()
      const begun = Promise.withResolvers<void>()
      const open = Promise.withResolvers<void>()
      const first = receiveIn(request, async () => {
        begun.resolve()
        await open.promise
      })
      await begun.promise
      const repeat = receiveIn(request)
      await untilHolds(
        pool,
        `select exists (select from pg_stat_activity where datname = current_database()
           and wait_event_type = 'Lock' and query like '%receive_many%') as holds`,
      )
      if (end === 'commits') open.resolve()
      else open.reject(new Error('no'))
      await first.catch(() => undefined)
      const applied = end === 'commits' ? 0 : 1
      t.strictSame(await repeat, {
        status: 200,
        body: `{"applied":${applied},"repeats":${1 - applied}}`,
      })
      t.strictSame(await effectsOf(request.id), ['invoice.paid'], end)
    }
  })

  t.test(`${library}: each event of a batch is applied once, alone and in any batch`, async (t) => {
    const [a, b, c] = [newId(), newId(), newId()]
    const event = (id: string, type = 'invoice.paid') => ({ id, ...JSON.parse(bodyOf(type)) })
    const batch = (...events: object[]) => signed(newId(), JSON.stringify({ events }))
    await receiveIn(signed(b))
    const seen: string[] = []
    const both = batch(event(c, 'c'), event(b), event(a, 'a'), event(c, 'c'))
    t.match(await receiveIn(both, ({ id }) => seen.push(id)), {
      body: '{"applied":2,"repeats":2}',
    })
    t.strictSame(seen, [c, a], 'in the order of the batch')
    t.match(await receiveIn(batch(event(a), event(c))), { body: '{"applied":0,"repeats":2}' })
    t.match(await receiveIn(signed(a)), { body: '{"applied":0,"repeats":1}' })
    for (const id of [a, b, c]) t.equal((await effectsOf(id)).length, 1)
  })
}

t.test('what is not signed with a live secret, now, as it came, is answered 401', async (t) => {
  const inbox = createInbox({ database: pool, secrets: [generateSecret(), SECRET] })
  const ignore = () => undefined
  const statusOf = async (request: { headers: Record<string, string>; body: string }) =>
    (await inbox.receive(request, ignore)).status
  const request = signed()
  const without = (name: string) => ({ ...request, headers: { ...request.headers, [name]: '' } })
  t.equal(await statusOf({ ...request, body: `${request.body} ` }), 401)
  t.equal(await statusOf(signed(newId(), bodyOf(), { secrets: [generateSecret()] })), 401)
  for (const name of Object.keys(request.headers)) t.equal(await statusOf(without(name)), 401, name)
  const odd = { ...request, headers: { ...request.headers, 'webhook-timestamp': 'soon' } }
  t.equal(await statusOf(odd), 401)
  t.equal(await statusOf(signed('x'.repeat(256))), 401)
  t.equal(await statusOf(signed(newId(), bodyOf(), { secondsAgo: 310 })), 401)
  t.equal(await statusOf(signed(newId(), bodyOf(), { secondsAgo: -310 })), 401)
  t.strictSame(await effectsOf(request.id), [])
  t.equal(await statusOf(signed(newId(), bodyOf(), { secondsAgo: 290 })), 200)
  const either = signed(newId(), bodyOf(), { secrets: [generateSecret(), SECRET] })
  t.equal(await statusOf(either), 200, 'signed with two secrets, of which one is known')
  const strict = createInbox({ database: pool, secrets: SECRET, toleranceSeconds: 30 })
  t.match(await strict.receive(signed(newId(), bodyOf(), { secondsAgo: 60 }), ignore), {
    status: 401,
  })
})

t.test('secrets are read as Postrider shows them, with what encoding they have', async (t) => {
  const privateKey = generateSecret('ed25519')
  const given: [Secret, string][] = [
    [privateKey, privateKey],
    [publicKeyOf(privateKey) ?? '', privateKey],
    ['a phrase that signs', 'text:a phrase that signs'],
    [{ secret: '00112233445566778899aabb', encoding: 'hex' }, 'hex:00112233445566778899aabb'],
  ]
  for (const [secret, stored] of given) {
    const request = signed(newId(), bodyOf(), { secrets: [stored] })
    t.equal(verifySigned(request, secret).id, request.id)
    t.throws(() => verifySigned(request, SECRET), InvalidSignature)
  }
  t.throws(() => createInbox({ database: pool, secrets: 'short' }), { name: 'InvalidSecret' })
})

t.test(
  'what an inbox cannot work with is refused when it is made, and names the field',
  async (t) => {
    const make = (more: object) => createInbox({ database: pool, secrets: SECRET, ...more })
    const secret = (value: unknown) => ({ secrets: value as Secret })
    for (const [more, message] of [
      [secret([undefined]), /^secrets\[0\] is no secret: .*environment/],
      [secret([SECRET, null]), /^secrets\[1\] is no secret/],
      [secret(undefined), /^secrets is no secret/],
      [secret(''), /^secrets is empty/],
      [secret([SECRET, '']), /^secrets\[1\] is empty/],
      [secret([]), /^secrets is an empty list: give at least one/],
      [secret(['short']), /^secrets\[0\] signs with 5 bytes/],
      [secret([{ secret: undefined, encoding: 'hex' }]), /^secrets\[0\] is no secret/],
      [
        secret({ secret: 'a phrase that signs', encoding: 'rot13' }),
        /^secrets has the encoding "rot13"/,
      ],
      [secret('whpk_AAAA'), /^secrets has 3 bytes behind whpk_/],
    ] as const) {
      t.throws(() => make(more), { name: 'InvalidSecret', message }, String(message))
    }
    for (const toleranceSeconds of [Number.NaN, -1, Number.POSITIVE_INFINITY, '300', null]) {
      t.throws(() => make({ toleranceSeconds }), {
        name: 'RangeError',
        message: /^toleranceSeconds is .*such as 300/,
      })
      const old = signed(newId(), bodyOf(), { secondsAgo: 3_000 })
      t.throws(() => verifySigned(old, SECRET, toleranceSeconds as number), /toleranceSeconds/)
    }
    t.throws(() => verifySigned(signed(), []), /^secrets is an empty list/)
    for (const receiver of ['x'.repeat(256), 'a\0', 7, null]) {
      t.throws(() => make({ receiver }), { name: 'RangeError', message: /^receiver is .*255/ })
    }
    for (const more of [{ toleranceSeconds: 0 }, { receiver: 'x'.repeat(255) }, { receiver: '' }]) {
      t.ok(make(more))
    }
  },
)

t.test(
  'Prisma: a transaction lasts as long as a request, and who waits for too long is answered 503',
  async (t) => {
    const expired = Object.assign(new Error('Unable to start a transaction'), { code: 'P2028' })
    let limits: { timeout?: number; maxWait?: number } | undefined
    const database = (begin: boolean) => ({
      async $transaction<T>(work: (tx: PrismaTransaction) => Promise<T>, given?: typeof limits) {
        limits = given
        if (!begin) throw expired
        return await prismaLike(pool).$transaction(work)
      },
    })
    const { id, headers, body } = signed()
    const full = createInbox({ database: database(false), secrets: SECRET })
    t.strictSame(await full.receive({ headers, body }, refuse), {
      status: 503,
      body: 'no connection to the database was free in time',
    })
    // A repeat waits for 10 s, and Postrider for a response 60 s at most.
    t.ok(Number(limits?.timeout) > 60_000)
    t.ok(Number(limits?.maxWait) >= 10_000)
    const inbox = createInbox({ database: database(true), secrets: SECRET })
    const slow = inbox.receive({ headers, body }, () => Promise.reject(expired))
    await t.rejects(slow, expired, 'what the handler rejects with arrives')
    t.match(await inbox.receive({ headers, body }, () => undefined), { status: 200 })
    t.strictSame(await effectsOf(id), [])
    const waits = createInbox({
      secrets: SECRET,
      database: {
        $transaction: (work: (tx: PrismaTransaction) => Promise<unknown>) =>
          work({ $queryRawUnsafe: () => Promise.reject(expired) }),
      },
    })
    t.match(await waits.receive(signed(), refuse), { status: 503, body: 'it is being applied' })
  },
)

t.test('a signed body that is no event is answered 400', async (t) => {
  for (const body of [
    '',
    'null',
    '[]',
    '{"data":1}',
    '{"events":[{"type":"a"}]}',
    '{"events":[{"id":"a\\u0000","type":"a"}]}',
    `{"events":[{"id":"${'a'.repeat(256)}","type":"a"}]}`,
    '{"events":[{"id":"a"}]}',
  ]) {
    t.match(await inPg.receive(signed(newId(), body), refuse), { status: 400 }, body)
  }
  t.match(await inPg.receive(signed(newId(), '{"events":[]}'), refuse), {
    body: '{"applied":0,"repeats":0}',
  })
})

t.test('a request of the web gets a response, and one without end is cut off', async (t) => {
  const { id, headers, body } = signed()
  const post = (sent: string | ReadableStream | null) =>
    new Request('http://receiver.test', { method: 'POST', headers, body: sent, duplex: 'half' })
  const apply = (event: ReceivedEvent, tx: PoolClient) => tx.query(INSERT, [event.id, 'web'])
  const response = await inPg.respond(post(body), apply)
  t.equal(response.status, 200)
  t.strictSame(await effectsOf(id), ['web'])
  t.equal((await inPg.respond(post(null), apply)).status, 401)
  let sent = 0
  const endless = new ReadableStream({
    pull(controller) {
      sent += 1
      controller.enqueue(new Uint8Array(1_024 * 1_024))
    },
  })
  t.equal((await inPg.respond(post(endless), apply)).status, 413)
  t.ok(sent < 30)
})

t.test('receivers that share a database apply an event each', async (t) => {
  const request = signed()
  const of = (receiver: string): InboxOptions<Pool> => ({
    database: pool,
    secrets: SECRET,
    receiver,
  })
  for (const receiver of ['ledger', 'mails', 'ledger']) {
    await createInbox(of(receiver)).receive(request, (event, tx) =>
      tx.query(INSERT, [event.id, receiver]),
    )
  }
  t.strictSame((await effectsOf(request.id)).sort(), ['ledger', 'mails'])
})

t.test('a repeat that would wait for longer than lock_timeout is answered 503', async (t) => {
  const { id, headers, body } = signed()
  const client = await pool.connect()
  t.teardown(() => client.release())
  await client.query('begin')
  t.equal(await receive(client, id), true)
  const impatient = {
    connect: async () => {
      const other = await pool.connect()
      const query = other.query.bind(other)
      return Object.assign(Object.create(other), {
        query: async (text: string, values: unknown[]) => {
          const result = await query(text, values)
          if (text === 'begin') await query("set local lock_timeout = '10ms'")
          return result
        },
        release: (error?: boolean) => other.release(error),
      })
    },
  }
  const inbox = createInbox({ database: impatient, secrets: SECRET })
  t.match(await inbox.receive({ headers, body }, refuse), { status: 503 })
  await client.query('rollback')
  t.match(await inbox.receive({ headers, body }, () => undefined), { status: 200 })
})

t.test('a transaction that fails only for others is run again', async (t) => {
  const { id, headers, body } = signed()
  await pool.query("insert into effect values ('counter', '0')")
  let run = 0
  const answer = await inKysely.receive({ headers, body }, async (event, tx) => {
    run += 1
    await sql`select what from effect where event = 'counter'`.execute(tx)
    if (run < 3) throw Object.assign(new Error('could not serialize'), { code: '40001' })
    await tx.insertInto('effect').values({ event: event.id, what: 'third' }).execute()
  })
  t.match(answer, { body: '{"applied":1,"repeats":0}' })
  t.strictSame(await effectsOf(id), ['third'])
  const conflict = Object.assign(new Error('wrapped'), { meta: { code: '40P01' } })
  let tries = 0
  const hopeless = inPg.receive(signed(), () => {
    tries += 1
    throw conflict
  })
  await t.rejects(hopeless, conflict)
  t.equal(tries, 3)
})

t.test('the connection of a handler that is cut ends the request, not the process', async (t) => {
  const { id, headers, body } = signed()
  const cut = inPg.receive({ headers, body }, async (_, tx) => {
    const { rows } = await tx.query('select pg_backend_pid() as pid')
    const ended = new Promise((resolve) => tx.once('end', resolve))
    await pool.query('select pg_terminate_backend($1)', [rows[0].pid])
    await ended
  })
  await t.rejects(cut)
  t.match(await inPg.receive({ headers, body }, (event, tx) => tx.query(INSERT, [event.id, 'b'])), {
    status: 200,
  })
  t.strictSame(await effectsOf(id), ['b'])
})

t.test('pg: what fails while it commits is not called applied', async (t) => {
  const { id, headers, body } = signed()
  let late: Promise<unknown> | undefined
  const inbox = createInbox({
    secrets: SECRET,
    database: {
      connect: async () => {
        const client = await pool.connect()
        const query = client.query.bind(client)
        return Object.assign(Object.create(client), {
          query: (text: string, values: unknown[]) => {
            // What a handler began and did not wait for is sent before the commit.
            if (text === 'commit') late = query('select 1 / 0').catch(() => undefined)
            return query(text, values)
          },
          release: (error?: boolean) => client.release(error),
        })
      },
    },
  })
  await t.rejects(
    inbox.receive({ headers, body }, () => undefined),
    { code: 'transaction_rolled_back' },
  )
  await late
  t.match(await inPg.receive({ headers, body }, () => undefined), {
    body: '{"applied":1,"repeats":0}',
  })
  t.strictSame(await effectsOf(id), [])
})

t.test('what is no database or transaction is refused by name', async (t) => {
  const inbox = createInbox({ database: {} as Pool, secrets: SECRET })
  await t.rejects(inbox.receive(signed(), refuse), {
    message: 'the database is none of pg, Kysely, Drizzle or Prisma',
  })
  await t.rejects(receive({} as Transaction, 'a'), {
    message: 'the transaction is none of pg, Kysely, Drizzle or Prisma',
  })
})
