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

/**
 * Decides whether Redis is asked at all, so that its absence costs one timeout and not one per delivery.
 *
 * - *connecting*, from the start on: not asked. A probe that succeeds closes the breaker; the first
 *   failure, or `CONNECTING_MS_MAX` without success, opens it.
 * - *closed*: asked, and probed once a second. Any failure opens it.
 * - *open*: not asked; probed at growing pauses. The first success closes it.
 *
 * Each change between closed and open is one line in the log.
 */
export class Breaker {
  readonly #probe: () => Promise<unknown>
  readonly #log: Log
  #state: 'connecting' | 'closed' | 'open' | 'stopped' = 'connecting'
  #closedAt = 0
  #pauseMs = PAUSE_MS_MIN
  #isProbing = false
  #timer: NodeJS.Timeout | undefined

  constructor({ probe, log }: { probe(): Promise<unknown>; log: Log }) {
    this.#probe = probe
    this.#log = log
    this.#probeIn(CONNECTING_MS_MAX)
  }

  isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Something failed or took too long. */
  fail(error: unknown): void {
    if (this.#state === 'open' || this.#state === 'stopped') return
    this.#log.warn({ err: error }, 'redis.degraded')
    const wasSteady = this.isClosed() && performance.now() - this.#closedAt > STEADY_MS
    this.#state = 'open'
    this.#pause(wasSteady ? PAUSE_MS_MIN : this.#pauseMs * 2)
  }

  /** Probes at once. */
  check(): void {
    if (this.#isProbing || this.#state === 'stopped') return
    this.#isProbing = true
    const done = () => {
      this.#isProbing = false
    }
    this.#probe()
      .finally(done)
      .then(
        () => this.#succeed(),
        (error) => (this.#state === 'open' ? this.#pause(this.#pauseMs * 2) : this.fail(error)),
      )
  }

  stop(): void {
    this.#state = 'stopped'
    clearTimeout(this.#timer)
  }

  #succeed(): void {
    if (this.#state === 'connecting') this.#log.info('redis.connected')
    if (this.#state === 'open') this.#log.warn('redis.restored')
    if (this.#state === 'connecting' || this.#state === 'open') this.#closedAt = performance.now()
    if (this.#state !== 'stopped') this.#state = 'closed'
    this.#probeIn(HEARTBEAT_MS)
  }

  #pause(ms: number): void {
    this.#pauseMs = Math.min(ms, PAUSE_MS_MAX)
    this.#probeIn(this.#pauseMs)
  }

  #probeIn(ms: number): void {
    clearTimeout(this.#timer)
    if (this.#state !== 'stopped') this.#timer = setTimeout(() => this.check(), ms)
  }
}
