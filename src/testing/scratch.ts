import { statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'

const MEMORY = '/dev/shm'
/** A run needs a quarter of it. In a container there are often 64 MB. */
const FREE_BYTES_MIN = 2 ** 31

/**
 * The folder for data that nobody needs after the tests: in memory where there is room.
 *
 * A test file begins with a copy of a database, some 1,300 files. On a disk that takes up to ten times as
 * long, even though nothing is synced, and was a sixth of all that `npm test` asked of the processor.
 */
export function scratchFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize >= FREE_BYTES_MIN ? MEMORY : tmpdir()
  } catch {
    return tmpdir()
  }
}
