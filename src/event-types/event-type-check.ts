import { type Kysely, sql } from 'kysely'
import { LRUCache } from 'lru-cache'
import type { Database } from '../postgres/schema.ts'
import type { SchemaCompiler, Validate } from './schema-compiler.ts'
import { SchemaInvalid } from './schema-compiler.ts'
import { joinPath } from './schema-rules.ts'
import { SlowChecks } from './slow-checks.ts'
import { TookTooLong } from './time-limit.ts'

/** From then on the names are read again, while events go on being checked with those at hand. */
const FRESH_MS = 2_000
/** From then on an event waits for the new ones: no process knows a change later than after 5 s. */
const STALE_MS_MAX = 4_500
/** Compiled schemas in memory: 10 MB of those of usual size. */
const COMPILED_MAX = 200

/** Of a whole batch: checking holds up every other request of the process. */
const CHECK_MS_MAX = 1_000
/** Anyone who has more mistakes than this has one in their program, and knows it by then. */
const VIOLATIONS_MAX = 100

/** What checking an event may hold up the process for; data of the largest size takes some 10 ms. */
const QUICK_MS_MAX = 25
/** For so long events of a tenant and type that were not checked by then go to the thread at once. */
const SLOW_MS = 60_000
/** Tenants and types; more cost each 25 ms once in a while. */
const SLOW_MAX = 10_000

export interface CheckedEvent {
  /** Key of the tenant, whose time a slow check takes. */
  tenant: string
  type: string
  data: unknown
}

/** What is wrong with one of the events. */
interface EventViolation {
  index: number
  code: 'event_type_unknown' | 'data_invalid'
  /** `type`, or a path in the data such as `data.items[0].price`. */
  field: string
  message: string
}

export interface EventTypeCheck {
  /** Every mistake in the events, by what is known of their types; none where nothing is known. */
  check(events: readonly CheckedEvent[]): Promise<EventViolation[]>
  /** How to check data of this type; null where it has no schema. */
  validatorOf(type: string): Promise<Validate | null>
  /** Looks at the event types again; called after a change that this process has made. */
  invalidate(): void
}

export interface EventTypeCheckOptions {
  database: Kysely<Database>
  compiler: SchemaCompiler
  /** Whether types that are not described are refused. */
  isStrict: boolean
  now?: () => number
}

/** Name → version of its schema, null where it has none. */
type Known = ReadonlyMap<string, string | null>

/**
 * Checks events against the event types, which are kept in memory: while none has a schema an event
 * costs one look into a map.
 */
export function createEventTypeCheck(options: EventTypeCheckOptions): EventTypeCheck {
  const { database, isStrict, now = () => performance.now() } = options
  const known = keepFresh(() => readKnown(database), now)
  const compiled = createCompiled(options)
  const checkOne = createCheck(now)

  const validatorOf = async (type: string): Promise<Validate | null> => {
    const version = (await known.get()).get(type)
    return version ? (await compiled.get(type, version)).validate : null
  }
  return {
    validatorOf,
    invalidate: known.forget,
    async check(events) {
      const types = await known.get()
      if (types.size === 0 && !isStrict) return []
      const violations: EventViolation[] = []
      const endsAt = performance.now() + CHECK_MS_MAX
      for (const [index, event] of events.entries()) {
        const { type } = event
        if (violations.length >= VIOLATIONS_MAX) break
        if (performance.now() > endsAt) return [...violations, tookTooLong(index)]
        const version = types.get(type)
        if (version === undefined && isStrict) violations.push(unknownType(index))
        if (!version) continue
        const schema = await compiled.get(type, version)
        for (const { path, message } of await checkOne(event, schema)) {
          violations.push({ index, code: 'data_invalid', field: fieldOf(path), message })
        }
      }
      return violations
    },
  }
}

/** Checks at once what can be checked quickly, and the rest in a thread. */
function createCheck(now: () => number) {
  const slowChecks = new SlowChecks()
  const remembered = { max: SLOW_MAX, ttl: SLOW_MS, ttlResolution: 0, perf: { now } }
  const slow = new LRUCache<string, true>(remembered)
  return ({ tenant, type, data }: CheckedEvent, { validate, text }: Compiled) => {
    const which = `${tenant} ${type}`
    if (!slow.has(which)) {
      try {
        return validate(data, QUICK_MS_MAX)
      } catch (error) {
        if (!(error instanceof TookTooLong)) throw error
        slow.set(which, true)
      }
    }
    return slowChecks.check(tenant, text, data)
  }
}

function unknownType(index: number): EventViolation {
  const message = 'is not among the event types, and others are not accepted here'
  return { index, code: 'event_type_unknown', field: 'type', message }
}

function tookTooLong(index: number): EventViolation {
  const message = `was not reached within ${CHECK_MS_MAX} ms of validation; send fewer events at a time`
  return { index, code: 'data_invalid', field: 'data', message }
}

function fieldOf(path: string): string {
  return path.startsWith('[') ? `data${path}` : joinPath('data', path).replace(/\.$/, '')
}

async function readKnown(database: Kysely<Database>): Promise<Known> {
  const { rows } = await sql<{ name: string; version: string | null }>`
    select name, case when schema is not null then updated_at::text end as version
    from postrider.event_type`.execute(database)
  return new Map(rows.map(({ name, version }) => [name, version]))
}

/** The latest answer of `read`, at most 4.5 s old; it is asked again in the background before that. */
function keepFresh<T>(read: () => Promise<T>, now: () => number) {
  let latest: { value: T; readAt: number } | undefined
  let reading: Promise<T> | undefined

  const refresh = (): Promise<T> => {
    const readAt = now()
    const mine = read().then((value) => {
      if (reading === mine) latest = { value, readAt }
      return value
    })
    reading = mine
    const isOver = () => {
      if (reading === mine) reading = undefined
    }
    mine.then(isOver, isOver)
    return mine
  }
  return {
    get(): T | Promise<T> {
      const age = latest ? now() - latest.readAt : Number.POSITIVE_INFINITY
      if (latest && age < FRESH_MS) return latest.value
      const next = reading ?? refresh()
      if (!latest || age >= STALE_MS_MAX) return next
      next.catch(() => undefined) // those who need it ask again
      return latest.value
    },
    forget(): void {
      latest = undefined
      reading = undefined
    },
  }
}

interface Compiled {
  validate: Validate
  /** The schema as JSON. */
  text: string
}

/** Compiles a schema when it is first needed, and forgets those that were not for the longest time. */
function createCompiled({ database, compiler }: EventTypeCheckOptions) {
  const cache = new LRUCache<string, { version: string; compiled: Promise<Compiled> }>({
    max: COMPILED_MAX,
  })

  const compile = async (type: string): Promise<Compiled> => {
    const row = await database
      .selectFrom('event_type')
      .select('schema')
      .where('name', '=', type)
      .executeTakeFirst()
    const text = row?.schema ?? 'true'
    return { text, validate: compileStored(compiler, text) }
  }
  return {
    async get(type: string, version: string): Promise<Compiled> {
      const known = cache.get(type)
      if (known?.version === version) return known.compiled
      const entry = { version, compiled: compile(type) }
      cache.set(type, entry)
      entry.compiled.catch(() => cache.peek(type) === entry && cache.delete(type))
      return entry.compiled
    },
  }
}

/** One that the API would have refused was written with SQL: nothing can be held to it. */
function compileStored(compiler: SchemaCompiler, schema: string): Validate {
  try {
    return compiler.compile(JSON.parse(schema))
  } catch (error) {
    if (!(error instanceof SchemaInvalid)) throw error
    const message = `cannot be checked: the schema of its type is not valid (${error.message})`
    return () => [{ path: '', message }]
  }
}
