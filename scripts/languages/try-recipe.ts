import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Pool } from 'pg'
import type { ReceivedRequest, Receiver } from '../../src/testing/servers/receiver.ts'
import { stopChild } from '../bench/processes.ts'
import type { Way } from './way.ts'

export interface Surroundings {
  /** Of the database that has Postrider, the inbox, invoices and bookings. */
  pool: Pool
  url: string
  secret: string
  /** Where a runner delivers to. */
  receiver: Receiver
  /** For the programs of all recipes; libraries stay in it. */
  folder: string
}

/** Its change is refused at the commit, when the event has been published. */
export const REFUSED_INVOICE = 13
/** Its event is refused, when the invoice has been changed. */
export const REFUSED_EVENT = 14
const PAID_INVOICE = 1
/** A first build fetches libraries. */
const BUILD_MS_MAX = 600_000

/** @returns what is wrong with the recipe of a library */
export async function tryRecipe(
  way: Way,
  recipe: { producer: string; receiver: string },
  surroundings: Surroundings,
): Promise<string[]> {
  const { pool, receiver } = surroundings
  const folder = build(way, recipe, surroundings.folder)
  await pool.query('truncate booking, postrider_inbox.inbox')
  await pool.query('update invoice set paid = false')
  const before = await countsOf(pool)
  const seen = receiver.requests.length
  await using program = startProgram(way, folder, surroundings)

  const wrong = new Map<string, [got: unknown, expected: unknown]>()
  const paid = await program.ask('pay', String(PAID_INVOICE))
  wrong.set('publish', [paid, 'ok'])
  wrong.set('a commit that fails', [await program.ask('pay', String(REFUSED_INVOICE)), 'refused'])
  wrong.set('an event that fails', [await program.ask('pay', String(REFUSED_EVENT)), 'refused'])
  const { events, paidInvoices } = await countsOf(pool)
  wrong.set('events stored', [events - before.events, 1])
  wrong.set('invoices changed', [paidInvoices, 1])
  if (paid !== 'ok') return differences(wrong)

  const request = (await receiver.received(seen + 1)).at(-1) as ReceivedRequest
  const changed = { ...request, body: request.body.replace('invoice.paid', 'invoice.Paid') }
  wrong.set('a changed body', [await program.ask(...receiving(changed)), '401'])
  for (const time of ['the first', 'a repeat', 'another repeat']) {
    wrong.set(time, [await program.ask(...receiving(request)), '200'])
  }
  wrong.set('effects', [(await countsOf(pool)).bookings, 1])
  return differences(wrong)
}

function receiving({ headers, body }: ReceivedRequest): string[] {
  const named = ['webhook-id', 'webhook-timestamp', 'webhook-signature'].map((name) =>
    String(headers[name]),
  )
  return ['receive', ...named, Buffer.from(body).toString('base64')]
}

const differences = (wrong: Map<string, [unknown, unknown]>): string[] =>
  [...wrong]
    .filter(([, [got, expected]]) => got !== expected)
    .map(([what, [got, expected]]) => `${what}: ${got}, not ${expected}`)

async function countsOf(pool: Pool) {
  const { rows } = await pool.query(
    `select (select count(*)::int from postrider.event) as events,
       (select count(*)::int from invoice where paid) as "paidInvoices",
       (select count(*)::int from booking) as bookings`,
  )
  return rows[0] as { events: number; paidInvoices: number; bookings: number }
}

/** Recipes of one language share a folder, and so its libraries. */
function build(way: Way, recipe: { producer: string; receiver: string }, base: string): string {
  const folder = join(base, way.name.split(' ')[0] ?? '')
  const files = way.files(recipe.producer, recipe.receiver)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  for (const [program = '', ...args] of way.build ?? []) {
    execFileSync(program, args, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: BUILD_MS_MAX,
    })
  }
  return folder
}

function startProgram({ run }: Way, folder: string, { url, secret }: Surroundings) {
  const [command = '', ...args] = run
  const child = spawn(command, args, {
    cwd: folder,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...connectionOf(url), WEBHOOK_SECRET: secret },
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = once(child, 'exit').then(() => 'it ended')
  return {
    async ask(...parts: string[]): Promise<string> {
      child.stdin.write(`${parts.join('\t')}\n`)
      return await Promise.race([lines.next().then(({ value }) => String(value)), ended])
    },
    [Symbol.asyncDispose]: () => stopChild(child),
  }
}

/** How each language is told where the database is. */
function connectionOf(text: string): Record<string, string> {
  const url = new URL(text)
  const name = url.pathname.slice(1)
  const password = decodeURIComponent(url.password)
  return {
    DATABASE_URL: text,
    JDBC_URL: `jdbc:postgresql://${url.host}/${name}?user=${url.username}&password=${url.password}`,
    PDO_DSN: `pgsql:host=${url.hostname};port=${url.port};dbname=${name};user=${url.username};password=${password}`,
  }
}
