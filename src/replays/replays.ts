import { type Kysely, type Selectable, sql } from 'kysely'
import type { EndpointId, ReplayId, TenantId } from '../ids.ts'
import { EndpointNotFound } from '../not-found.ts'
import { allOf, isBehind, type Order } from '../postgres/list-query.ts'
import type { Database, ReplayTable } from '../postgres/schema.ts'
import type { Refusal } from '../problem.ts'
import { type ListedTenants, ofTenants } from '../tenants/listed-tenants.ts'

export type Replay = Selectable<ReplayTable> & { id: ReplayId }

/** A replay with what people know it by. */
export interface FoundReplay extends Replay {
  tenantKey: string
  tenantName: string
  /** Of its endpoint, if it is about one. */
  url: string | null
  description: string | null
}

/** What a replay covers; left out = the default of postrider.start_replay(). */
export interface ReplayRequest {
  mode?: 'redeliver' | 'missed' | undefined
  endpointId?: EndpointId | undefined
  eventTypes?: string[] | undefined
  states?: ('delivered' | 'failed' | 'cancelled' | 'collapsed')[] | undefined
  statusClass?: number | undefined
  since: Date
  until?: Date | undefined
  ratePerSecond?: number | undefined
}

export class ReplayNotFound extends Error {
  override readonly name = 'ReplayNotFound'
  readonly code = 'replay_not_found'
  constructor() {
    super('the tenant has no replay with this id')
  }
}

/** As many replays run as may, of the tenant or of who asked for it. */
class TooManyReplays extends Error {
  override readonly name = 'TooManyReplays'
  readonly code = 'too_many_replays'
  /** They take minutes; nobody knows how many. */
  readonly retryAfterSeconds = 30
}

/** By the field that leaves nothing to act on. */
const NOTHING_IN = {
  states: 'are none that the action applies to',
  since: 'is not in the past',
  until: 'is not after since',
}

/** No delivery in the states, or in the time, that were asked for can be acted on. */
class NothingToDo extends Error {
  override readonly name = 'NothingToDo'
  readonly refusal: Refusal
  constructor(field: keyof typeof NOTHING_IN, cause: Error) {
    super(cause.message, { cause })
    this.refusal = { of: 'request_invalid', errors: [{ field, message: NOTHING_IN[field] }] }
  }
}

/** How many replays may run at once. */
export interface ReplayBounds {
  ofTenant: number
  /** Of one API key or link to the portal. */
  ofKey: number
}

export interface Replays {
  /** How many it would make due; 100,000 stands for that many or more. @throws EndpointNotFound */
  preview(tenantKey: string, request: ReplayRequest): Promise<number>
  /** Begins one. It goes on by jobs, whichever runners are alive. @throws EndpointNotFound, TooManyReplays */
  start(tenantKey: string, request: ReplayRequest, who: string): Promise<Replay>
  /** Newest first unless the page says otherwise, from behind the id `before` on. */
  list(
    tenants: ListedTenants,
    page: Order & { limit: number; before: ReplayId | null },
  ): Promise<FoundReplay[]>
  /** @throws ReplayNotFound */
  get(tenantId: TenantId, id: ReplayId): Promise<Replay>
  /** Ends a running one; what is due already is delivered. @throws ReplayNotFound */
  cancel(tenantId: TenantId, id: ReplayId, who: string): Promise<Replay>
}

interface ReplaysOptions {
  database: Kysely<Database>
  bounds?: ReplayBounds
}

/** @param options.bounds left out = any number runs */
export function createReplays({ database, bounds }: ReplaysOptions): Replays {
  const call = (tenantKey: string, request: ReplayRequest, who: string, preview: boolean) =>
    startReplay(database, { tenantKey, request, who, preview, bounds })
  const find = async (tenantId: TenantId, id: ReplayId): Promise<Replay> => {
    const row = await selectReplays(database, tenantId).where('id', '=', id).executeTakeFirst()
    if (!row) throw new ReplayNotFound()
    return row
  }
  return {
    preview: async (tenantKey, request) => (await call(tenantKey, request, 'preview', true)).total,
    start: (tenantKey, request, who) => call(tenantKey, request, who, false),
    list: (tenants, page) => list(database, tenants, page),
    get: find,
    async cancel(tenantId, id, who) {
      await find(tenantId, id)
      await sql`select postrider.cancel_replay(${id}, ${who})`.execute(database)
      return find(tenantId, id)
    },
  }
}

interface ReplayOptions {
  tenantKey: string
  request: ReplayRequest
  who: string
  preview: boolean
  bounds: ReplayBounds | undefined
}

async function startReplay(database: Kysely<Database>, asked: ReplayOptions): Promise<Replay> {
  const { tenantKey, request, who, preview, bounds } = asked
  const { rows } = await sql<Replay>`
    select * from postrider.start_replay(
      tenant => ${tenantKey}, since => ${request.since}, until => coalesce(${request.until ?? null}, now()),
      mode => ${request.mode ?? 'redeliver'}, endpoint => ${request.endpointId ?? null},
      event_types => ${request.eventTypes ?? ['*']}, states => ${request.states ?? ['failed']},
      status_class => ${request.statusClass ?? null},
      rate_per_second => ${request.ratePerSecond ?? DEFAULT_RATE_PER_SECOND},
      who => ${who}, preview => ${preview},
      of_tenant_max => ${bounds?.ofTenant ?? null}, of_requester_max => ${bounds?.ofKey ?? null})`
    .execute(database)
    .catch(refusedFor)
  if (!rows[0]) throw new Error('start_replay answered nothing')
  return rows[0]
}

const list = (
  database: Kysely<Database>,
  tenants: ListedTenants,
  { limit, ...page }: Parameters<Replays['list']>[1],
): Promise<FoundReplay[]> =>
  database
    .selectFrom('replay as r')
    .innerJoin('tenant as t', 't.id', 'r.tenant_id')
    .leftJoin('endpoint as e', 'e.id', 'r.endpoint_id')
    .selectAll('r')
    .select(['t.key as tenantKey', 't.name as tenantName', 'e.url', 'e.description'])
    .where(allOf([ofTenants(tenants, 'r.tenant_id'), isBehind('r.id', page)]))
    .orderBy('r.id', page.isOldestFirst ? 'asc' : 'desc')
    .limit(limit)
    .$castTo<FoundReplay>()
    .execute()

/** What `refuse_replay` raises. */
const TOO_MANY = '54000'
/** What `start_replay` raises for an endpoint that the tenant does not have; the tenant was found before. */
const NO_DATA_FOUND = 'P0002'
/** What they raise for states that the action does not apply to, and for a time that nothing can be in: with its column. */
const INVALID_VALUE = '22023'

/** @throws what the API says of what start_replay() and start_bulk() raise */
export function refusedFor(error: Error & { code?: string; column?: string }): never {
  if (error.code === NO_DATA_FOUND) throw new EndpointNotFound({ cause: error })
  if (error.code === INVALID_VALUE) {
    const { column } = error
    throw new NothingToDo(column === 'since' || column === 'until' ? column : 'states', error)
  }
  if (error.code !== TOO_MANY) throw error
  throw new TooManyReplays(`${error.message}; wait until one is done, or cancel one`, {
    cause: error,
  })
}

/** Slow enough that a receiver which has just come back notices little of it. */
const DEFAULT_RATE_PER_SECOND = 50

function selectReplays(database: Kysely<Database>, tenantId: TenantId) {
  return database
    .selectFrom('replay')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .$castTo<Replay>()
}
