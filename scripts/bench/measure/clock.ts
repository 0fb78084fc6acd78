/**
 * Milliseconds of the machine's monotonic clock: the same in every process, so a time that the
 * receiver noted can be compared with one of the driver.
 */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}
