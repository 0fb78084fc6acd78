import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** From a quick commit to a slow one; the promise is 50 ms. */
const PUBLISH_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Up to the longest timeout that an endpoint may set. */
const ATTEMPT_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60]
/** From a healthy receiver to the end of the default retry schedule. */
const AGE_SECONDS = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 3_600, 21_600, 86_400, 259_200,
]

export interface PoolUsage {
  totalCount: number
  idleCount: number
  waitingCount: number
}

export interface Metrics {
  /** A request was answered with 202: one event, or a batch of them, committed in so many seconds. */
  eventsAccepted(
    request: 'event' | 'batch',
    published: readonly { duplicate: boolean }[],
    seconds: number,
  ): void
  /** An HTTP request to us was answered. `route` is the pattern, never the path. */
  requestAnswered(request: { method: string; route: string; status: number }): void
  /** An attempt has ended. `ageSeconds` counts from when the event could first be sent. */
  attemptEnded(attempt: {
    outcome: string
    /** A word of a closed set; null when delivered. */
    reason: string | null
    verdict: string
    number: number
    seconds: number
    ageSeconds: number | null
  }): void
  /** A job was put off because its endpoint, or its tenant in this runner, is at its limit. */
  jobSnoozed(): void
  /** Pools are read when somebody scrapes. */
  watchPool(name: string, pool: PoolUsage): void
  watchRedis(redis: { readonly state: 'off' | 'ok' | 'degraded' }): void
  watchStreams(streams: { readonly readers: number }): void
  /** How many requests each endpoint in use may have in flight; read when somebody scrapes. */
  watchShares(sharesInUse: () => readonly { share: number }[]): void
  /** Runs before each scrape, for figures that have to be asked for. */
  registry: Registry
  /** The exposition format of Prometheus, and its content type. */
  render(): Promise<{ contentType: string; text: string }>
}

/**
 * Every metric with its unit and labels. Labels are bounded: words of ours, never an id, URL or tenant.
 */
export function createMetrics({ version }: { version: string }): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  new Gauge({
    name: 'postrider_build_info',
    help: 'Always 1; the version is in the labels.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.versions.node }, 1)

  return {
    ...publishMetrics(registers),
    ...attemptMetrics(registers),
    ...resourceMetrics(registers),
    registry,
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

function publishMetrics(registers: Registry[]) {
  const accepted = new Counter({
    name: 'postrider_events_accepted_total',
    help: 'Events published over HTTP and answered with 202. duplicate = stored by an earlier request with the same key.',
    labelNames: ['duplicate'],
    registers,
  })
  const seconds = new Histogram({
    name: 'postrider_publish_seconds',
    help: 'From a request read to its events committed. request = event, or batch of up to 1,000.',
    labelNames: ['request'],
    buckets: PUBLISH_SECONDS,
    registers,
  })
  const requests = new Counter({
    name: 'postrider_http_requests_total',
    help: 'Requests to the API by method, route pattern and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  return {
    eventsAccepted: ((request, published, took) => {
      const duplicates = published.filter(({ duplicate }) => duplicate).length
      accepted.inc({ duplicate: 'false' }, published.length - duplicates)
      accepted.inc({ duplicate: 'true' }, duplicates)
      seconds.observe({ request }, took)
    }) satisfies Metrics['eventsAccepted'],
    requestAnswered: ({
      method,
      route,
      status,
    }: {
      method: string
      route: string
      status: number
    }) => requests.inc({ method, route, status }),
  }
}

function attemptMetrics(registers: Registry[]) {
  const attempts = new Counter({
    name: 'postrider_attempts_total',
    help: 'Attempts by outcome (delivered, rejected, unreachable, blocked, interrupted) and reason (none when delivered).',
    labelNames: ['outcome', 'reason'],
    registers,
  })
  const seconds = new Histogram({
    name: 'postrider_attempt_seconds',
    help: 'Duration of attempts, from the start of the request to the end of the answer.',
    labelNames: ['outcome'],
    buckets: ATTEMPT_SECONDS,
    registers,
  })
  const settled = new Counter({
    name: 'postrider_deliveries_settled_total',
    help: 'What attempts made of their deliveries: delivered, pending (retry), failed, held, cancelled, stale, already.',
    labelNames: ['state'],
    registers,
  })
  const age = new Histogram({
    name: 'postrider_delivery_age_seconds',
    help: 'From published (or deliverAt) to delivered.',
    buckets: AGE_SECONDS,
    registers,
  })
  const retries = new Counter({
    name: 'postrider_retries_total',
    help: 'Attempts that were not the first of their delivery.',
    registers,
  })
  const snoozes = new Counter({
    name: 'postrider_snoozes_total',
    help: 'Jobs put off because their endpoint, or their tenant in this runner, was at its limit.',
    registers,
  })
  const attemptEnded: Metrics['attemptEnded'] = (attempt) => {
    attempts.inc({ outcome: attempt.outcome, reason: attempt.reason ?? 'none' })
    seconds.observe({ outcome: attempt.outcome }, attempt.seconds)
    settled.inc({ state: attempt.verdict })
    if (attempt.number > 1) retries.inc()
    if (attempt.verdict === 'delivered' && attempt.ageSeconds !== null)
      age.observe(attempt.ageSeconds)
  }
  return { attemptEnded, jobSnoozed: () => snoozes.inc() }
}

function resourceMetrics(registers: Registry[]) {
  const pools = new Map<string, PoolUsage>()
  new Gauge({
    name: 'postrider_pool_connections',
    help: 'Connections to Postgres by pool: total, idle, and requests waiting for one.',
    labelNames: ['pool', 'state'],
    registers,
    collect() {
      for (const [pool, usage] of pools) {
        this.set({ pool, state: 'total' }, usage.totalCount)
        this.set({ pool, state: 'idle' }, usage.idleCount)
        this.set({ pool, state: 'waiting' }, usage.waitingCount)
      }
    },
  })
  const shares = shareMetrics(registers)
  let streams: { readonly readers: number } | undefined
  new Gauge({
    name: 'postrider_streams',
    help: 'Streams of attempts that are open: over the API, in the console and in the portal.',
    registers,
    collect() {
      this.set(streams?.readers ?? 0)
    },
  })
  let redis: { readonly state: string } | undefined
  new Gauge({
    name: 'postrider_redis_degraded',
    help: '1 while Redis is configured but away, slow or full: limits are per process then.',
    registers,
    collect() {
      this.set(redis?.state === 'degraded' ? 1 : 0)
    },
  })
  return {
    watchPool: (name: string, pool: PoolUsage) => void pools.set(name, pool),
    ...shares,
    watchStreams: (watched: { readonly readers: number }) => {
      streams = watched
    },
    watchRedis: (watched: { readonly state: 'off' | 'ok' | 'degraded' }) => {
      redis = watched
    },
  }
}

/** Up to which an endpoint counts: all but one place lost, as one begins, and towards the 210 of 250 at most. */
const SHARES = [1, 4, 16, 64]

function shareMetrics(registers: Registry[]) {
  let sharesInUse: () => readonly { share: number }[] = () => []
  new Gauge({
    name: 'postrider_endpoints_by_share',
    help: 'Endpoints that this runner has sent to in the last minute, by how many requests each may have in flight now: up to 1, 4, 16, 64, or more.',
    labelNames: ['up_to'],
    registers,
    collect() {
      const shares = sharesInUse().map(({ share }) => share)
      for (const [index, upTo] of [...SHARES, Number.POSITIVE_INFINITY].entries()) {
        const above = SHARES[index - 1] ?? 0
        const count = shares.filter((share) => share > above && share <= upTo).length
        this.set({ up_to: upTo === Number.POSITIVE_INFINITY ? 'more' : String(upTo) }, count)
      }
    },
  })
  return {
    watchShares: (watched: typeof sharesInUse) => {
      sharesInUse = watched
    },
  }
}
