import type { Log } from '../log.ts'

/** While all is well: notices a Redis that hangs although nobody asks it, so that `/ready` is true. */
const HEARTBEAT_MS = 1_000
/** Dialling and, over TLS, shaking hands; anyone who takes longer at the start counts as away. */
const CONNECTING_MS_MAX = 3_000
/** Between probes of a Redis that is away. Doubles, so that a long outage costs little. */
const PAUSE_MS_MIN = 250
const PAUSE_MS_MAX = 2_000
/** After so long without a failure the pauses begin again; otherwise one that comes and goes fills the log. */
const STEADY_MS = 10_000

export interface Circuit {
  isClosed(): boolean
  /** Something failed or took too long. */
  fail(error: unknown): void
  /** Probes at once. */
  check(): void
  stop(): void
}

/**
 * Decides whether Redis is asked at all, so that its absence costs one timeout and not one per delivery.
 *
 * - *connecting*, from the start on: not asked. A probe that succeeds closes the circuit; the first
 *   failure, or `CONNECTING_MS_MAX` without success, opens it.
 * - *closed*: asked, and probed once a second. Any failure opens it.
 * - *open*: not asked; probed at growing pauses. The first success closes it.
 *
 * Each change between closed and open is one line in the log.
 */
export function createCircuit(options: { probe(): Promise<unknown>; log: Log }): Circuit {
  let state: 'connecting' | 'closed' | 'open' | 'stopped' = 'connecting'
  let closedAt = 0
  let pauseMs = PAUSE_MS_MIN
  let probing = false
  let timer: NodeJS.Timeout | undefined

  const probeIn = (ms: number) => {
    clearTimeout(timer)
    if (state !== 'stopped') timer = setTimeout(check, ms)
  }
  const succeed = () => {
    if (state === 'connecting') options.log.info('redis.connected')
    if (state === 'open') options.log.warn('redis.restored')
    if (state === 'connecting' || state === 'open') closedAt = performance.now()
    if (state !== 'stopped') state = 'closed'
    probeIn(HEARTBEAT_MS)
  }
  const fail = (error: unknown) => {
    if (state === 'open' || state === 'stopped') return
    options.log.warn({ err: error }, 'redis.degraded')
    const wasSteady = state === 'closed' && performance.now() - closedAt > STEADY_MS
    state = 'open'
    pauseMs = wasSteady ? PAUSE_MS_MIN : Math.min(pauseMs * 2, PAUSE_MS_MAX)
    probeIn(pauseMs)
  }
  const failAgain = (error: unknown) => {
    if (state !== 'open') return fail(error)
    pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)
    probeIn(pauseMs)
  }
  const check = () => {
    if (probing || state === 'stopped') return
    probing = true
    const done = () => {
      probing = false
    }
    options.probe().finally(done).then(succeed, failAgain)
  }

  probeIn(CONNECTING_MS_MAX)
  return {
    isClosed: () => state === 'closed',
    fail,
    check,
    stop() {
      state = 'stopped'
      clearTimeout(timer)
    },
  }
}
