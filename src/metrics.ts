import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** From a quick commit to a slow one; the promise is 50 ms. */
const PUBLISH_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5]
/** Up to the longest timeout that an endpoint may set. */
const ATTEMPT_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60]
/** Up to the most that an endpoint may set. */
const BATCH_EVENTS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000]
/** From a healthy receiver to the end of the default retry schedule. */
const AGE_SECONDS = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 3_600, 21_600, 86_400, 259_200,
]

interface PoolUsage {
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
  /** A request with so many events in it has ended, of an endpoint that has batches. */
  batchEnded(batch: { outcome: string; events: number }): void
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
 * How often the lag of the event loop is looked at. prom-client's 10 ms wake a process a hundred times a second that has
 * nothing to do: more than half of what an idle one costs. What holds up the loop for longer than this is still seen.
 */
const LAG_LOOK_MS = 100

/**
 * Every metric with its unit and labels. Labels are bounded: words of ours, never an id, URL or tenant.
 */
export function createMetrics({ version }: { version: string }): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_LOOK_MS })
  const make = makersFor(registry)
  const labels = { version, node: process.versions.node }
  make
    .gauge('build_info', 'Always 1; the version is in the labels.', Object.keys(labels))
    .set(labels, 1)
  return {
    ...publishMetrics(make),
    ...attemptMetrics(make),
    ...poolMetrics(make),
    ...shareMetrics(make),
    ...streamMetrics(make),
    ...redisMetrics(make),
    registry,
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

/** What makes metrics of a registry; every name begins with `postrider_`. */
function makersFor(registry: Registry) {
  const common = (name: string, help: string, labelNames: string[]) => ({
    ...{ name: `postrider_${name}`, help, labelNames, registers: [registry] },
  })
  return {
    counter: (name: string, help: string, labels: string[] = []) =>
      new Counter(common(name, help, labels)),
    histogram: (name: string, help: string, buckets: number[], labels: string[] = []) =>
      new Histogram({ ...common(name, help, labels), buckets }),
    /** @param collect sets it before each scrape */
    gauge: (name: string, help: string, labels: string[] = [], collect?: (gauge: Gauge) => void) =>
      new Gauge({
        ...common(name, help, labels),
        ...(collect && {
          collect() {
            collect(this)
          },
        }),
      }),
  }
}

type Makers = ReturnType<typeof makersFor>

function publishMetrics({ counter, histogram }: Makers) {
  const accepted = counter(
    'events_accepted_total',
    'Events published over HTTP and answered with 202. duplicate = stored by an earlier request with the same key.',
    ['duplicate'],
  )
  const seconds = histogram(
    'publish_seconds',
    'From a request read to its events committed. request = event, or batch of up to 1,000.',
    PUBLISH_SECONDS,
    ['request'],
  )
  const requests = counter(
    'http_requests_total',
    'Requests to the API by method, route pattern and status.',
    ['method', 'route', 'status'],
  )
  const eventsAccepted: Metrics['eventsAccepted'] = (request, published, took) => {
    const duplicates = published.filter(({ duplicate }) => duplicate).length
    accepted.inc({ duplicate: 'false' }, published.length - duplicates)
    accepted.inc({ duplicate: 'true' }, duplicates)
    seconds.observe({ request }, took)
  }
  const requestAnswered: Metrics['requestAnswered'] = ({ method, route, status }) =>
    requests.inc({ method, route, status })
  return { eventsAccepted, requestAnswered }
}

function attemptMetrics(make: Makers) {
  const made = attemptCounters(make)
  const attemptEnded: Metrics['attemptEnded'] = (attempt) => {
    made.attempts.inc({ outcome: attempt.outcome, reason: attempt.reason ?? 'none' })
    made.seconds.observe({ outcome: attempt.outcome }, attempt.seconds)
    made.settled.inc({ state: attempt.verdict })
    if (attempt.number > 1) made.retries.inc()
    if (attempt.verdict === 'delivered' && attempt.ageSeconds !== null)
      made.age.observe(attempt.ageSeconds)
  }
  const batchEnded: Metrics['batchEnded'] = ({ outcome, events }) =>
    made.batches.observe({ outcome }, events)
  return { attemptEnded, batchEnded, jobSnoozed: () => made.snoozes.inc() }
}

const attemptCounters = ({ counter, histogram }: Makers) => ({
  attempts: counter(
    'attempts_total',
    'Attempts by outcome (delivered, rejected, unreachable, blocked, interrupted) and reason (none when delivered).',
    ['outcome', 'reason'],
  ),
  seconds: histogram(
    'attempt_seconds',
    'Duration of attempts, from the start of the request to the end of the response.',
    ATTEMPT_SECONDS,
    ['outcome'],
  ),
  settled: counter(
    'deliveries_settled_total',
    'What attempts made of their deliveries: delivered, pending (retry), failed, held, cancelled, stale, already.',
    ['state'],
  ),
  age: histogram(
    'delivery_age_seconds',
    'From published (or deliverAt) to delivered.',
    AGE_SECONDS,
  ),
  batches: histogram(
    'batch_events',
    'Events of a request to an endpoint with batches, by outcome. Its count is that of the requests.',
    BATCH_EVENTS,
    ['outcome'],
  ),
  retries: counter('retries_total', 'Attempts that were not the first of their delivery.'),
  snoozes: counter(
    'snoozes_total',
    'Jobs put off because their endpoint, or their tenant in this runner, was at its limit.',
  ),
})

function poolMetrics({ gauge }: Makers) {
  const pools = new Map<string, PoolUsage>()
  const help = 'Connections to Postgres by pool: total, idle, and requests waiting for one.'
  gauge('pool_connections', help, ['pool', 'state'], (connections) => {
    for (const [pool, usage] of pools) {
      connections.set({ pool, state: 'total' }, usage.totalCount)
      connections.set({ pool, state: 'idle' }, usage.idleCount)
      connections.set({ pool, state: 'waiting' }, usage.waitingCount)
    }
  })
  return { watchPool: (name: string, pool: PoolUsage) => void pools.set(name, pool) }
}

function streamMetrics({ gauge }: Makers) {
  let streams: { readonly readers: number } | undefined
  const help = 'Streams of attempts that are open: over the API, in the console and in the portal.'
  gauge('streams', help, [], (open) => open.set(streams?.readers ?? 0))
  const watchStreams: Metrics['watchStreams'] = (watched) => {
    streams = watched
  }
  return { watchStreams }
}

function redisMetrics({ gauge }: Makers) {
  let redis: { readonly state: string } | undefined
  const help = '1 while Redis is configured but away, slow or full: limits are per process then.'
  gauge('redis_degraded', help, [], (degraded) => degraded.set(redis?.state === 'degraded' ? 1 : 0))
  const watchRedis: Metrics['watchRedis'] = (watched) => {
    redis = watched
  }
  return { watchRedis }
}

/** Up to which an endpoint counts: all but one permit lost, as one begins, and towards the 225 of 250 at most. */
const SHARES = [1, 4, 16, 64]

function shareMetrics({ gauge }: Makers) {
  let sharesInUse: () => readonly { share: number }[] = () => []
  const help =
    'Endpoints that this runner has sent to in the last minute, by how many requests each can have in flight now: up to 1, 4, 16, 64, or more.'
  gauge('endpoints_by_share', help, ['up_to'], (endpoints) => {
    const shares = sharesInUse().map(({ share }) => share)
    for (const [index, upTo] of [...SHARES, Number.POSITIVE_INFINITY].entries()) {
      const above = SHARES[index - 1] ?? 0
      const count = shares.filter((share) => share > above && share <= upTo).length
      endpoints.set({ up_to: upTo === Number.POSITIVE_INFINITY ? 'more' : String(upTo) }, count)
    }
  })
  const watchShares: Metrics['watchShares'] = (watched) => {
    sharesInUse = watched
  }
  return { watchShares }
}
