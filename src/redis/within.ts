/** A timer that fires later than this says that our own process was busy, not that the answer is late. */
const LATE_MS = 10

/** Nothing came in time. The promise itself goes on; what it brings later is ignored. */
export class TookTooLong extends Error {
  override readonly name = 'TookTooLong'
  readonly code = 'took_too_long'
  constructor(ms: number) {
    super(`no response within ${ms} ms`)
  }
}

/**
 * What the promise brings, if it does so within `ms`.
 *
 * While this process is busy, answers lie unread in the socket, and timers are served before sockets:
 * without the second chance a pause of ours (garbage collection, a large JSON document) would look
 * like a slow Redis.
 */
export function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const dueAt = performance.now() + ms
    const expire = () => reject(new TookTooLong(ms))
    let timer = setTimeout(() => {
      if (performance.now() < dueAt + LATE_MS) return expire()
      timer = setTimeout(expire, ms)
    }, ms)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
