import { isOutage } from '../../src/database/outage.ts'

/** Runs it again when the connection was one of those that a fault has just cut. */
export async function patiently<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!isOutage(error)) throw error
    return await run()
  }
}
