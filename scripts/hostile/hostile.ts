import { setTimeout as pause } from 'node:timers/promises'
import type { Attack, Finding, Verdict } from './attack.ts'
import { addresses } from './attacks/addresses.ts'
import { bodies } from './attacks/bodies.ts'
import { filters } from './attacks/filters.ts'
import { foreignIds } from './attacks/foreign-ids.ts'
import { forms } from './attacks/forms.ts'
import { headers } from './attacks/headers.ts'
import { heavyReads } from './attacks/heavy-reads.ts'
import { input } from './attacks/input.ts'
import { links } from './attacks/links.ts'
import { pages } from './attacks/pages.ts'
import { receivers } from './attacks/receivers.ts'
import { requestsAhead } from './attacks/requests-ahead.ts'
import { schemas } from './attacks/schemas.ts'
import { scopes } from './attacks/scopes.ts'
import { slowClients } from './attacks/slow-clients.ts'
import { smuggling } from './attacks/smuggling.ts'
import { strangers } from './attacks/strangers.ts'
import { streams } from './attacks/streams.ts'
import { wrongKeys } from './attacks/wrong-keys.ts'
import { createClient } from './client.ts'
import { type Field, prepareField } from './field.ts'
import type { Target } from './target.ts'

/** In this order; what holds others up comes last. */
export const ATTACKS: readonly Attack[] = [
  foreignIds, strangers, scopes, links, pages, forms, addresses, headers, filters, schemas, receivers, streams,
  heavyReads, input, bodies, requestsAhead, smuggling, slowClients, wrongKeys,
] // biome-ignore format: a list

/** A service that holds answers all of it in a minute or two, and in less than this on a machine that is very busy. */
const MS_MAX = 300_000
const CLEANUP_MS_MAX = 20_000

export interface Told extends Finding {
  attack: string
}

export interface Summary {
  ok: boolean
  held: number
  broken: number
  notTried: number
  seconds: number
  /** What broke. */
  findings: Told[]
}

export interface HostileOptions {
  target: Target
  adminKey: string
  /** Names of attacks; all when left out. */
  only?: readonly string[]
  /** Called with each finding as it is made. */
  tell(finding: Told): void
  /** Ends it early. */
  signal?: AbortSignal
  msMax?: number
}

/** Attacks a service with all that is known here; whatever was made for it is taken away again. */
export async function runHostile(options: HostileOptions): Promise<Summary> {
  const { target, adminKey, only, msMax = MS_MAX } = options
  const startedAt = performance.now()
  const signals = [AbortSignal.timeout(msMax), ...(options.signal ? [options.signal] : [])]
  const signal = AbortSignal.any(signals)
  const told: Told[] = []
  const tell = (finding: Told) => {
    told.push(finding)
    options.tell(finding)
  }
  const cleanup = new AsyncDisposableStack()
  try {
    const client = createClient(target, signal)
    const keeper = createClient(target, new AbortController().signal)
    const field = await prepareField({ client, keeper, adminKey, cleanup }, signal)
    const chosen = ATTACKS.filter(({ name }) => only?.includes(name) ?? true)
    const beside = chosen.filter(({ waits }) => waits).map((one) => carryOut(one, field, tell))
    for (const attack of chosen.filter(({ waits }) => !waits)) await carryOut(attack, field, tell)
    await Promise.all(beside)
  } finally {
    await Promise.race([cleanup.disposeAsync(), pause(CLEANUP_MS_MAX, undefined, { ref: false })])
  }
  return summaryOf(told, performance.now() - startedAt)
}

/** What is not answered in time, or cannot even be tried, did not hold. */
async function carryOut(attack: Attack, field: Field, tell: (told: Told) => void): Promise<void> {
  const { name } = attack
  try {
    for await (const found of attack.run(field)) tell({ attack: name, ...found })
  } catch (error) {
    const answer = field.signal.aborted ? 'the time was up' : String(error)
    tell({ attack: name, tried: 'the rest of it', verdict: 'BROKEN', answer })
  }
}

function summaryOf(told: readonly Told[], ms: number): Summary {
  const of = (verdict: Verdict) => told.filter((one) => one.verdict === verdict)
  const broken = of('BROKEN')
  return {
    ok: broken.length === 0,
    held: of('held').length,
    broken: broken.length,
    notTried: of('not tried').length,
    seconds: Math.round(ms / 100) / 10,
    findings: broken,
  }
}
