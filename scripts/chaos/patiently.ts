import { retryThroughOutage } from '../../src/postgres/outage.ts'

/** A server that has just been restarted, on a machine that is busy, takes connections again well before. */
const PATIENCE_MS = 30_000

/** Runs it again when its connection was one of those that a fault has just cut, or could not be made. */
export const patiently = <T>(run: () => Promise<T>): Promise<T> =>
  retryThroughOutage(run, { forMs: PATIENCE_MS })
