import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'
import { plainNode } from '../../src/testing/wiring/cli.ts'

/** One that is not refused starts whole systems. */
const MS_MAX = 60_000

/** Each begins a process of its program, which ends before it has started anything. */
const MISTAKES = [
  ['chaos/run.ts', '--runners', '1', '--runners takes a whole number from 2 on'],
  ['chaos/run.ts', '--rate', '-1', '--rate takes a number from 0 on'],
  ['bench/scaling.ts', '--runners', '1,x', '--runners takes numbers above 0, like 1,2,4'],
  ['failover/run.ts', '--ways', 'hosts,dns', '--ways has no dns; there are hosts,proxy,keeping'],
] as const

for (const [program, name, value, says] of MISTAKES) {
  t.test(`${program} ${name}=${value} ends with 2 and says what is wrong`, async (t) => {
    const path = join(import.meta.dirname, '..', program)
    const { status, stderr } = spawnSync(...plainNode(path, `${name}=${value}`), {
      encoding: 'utf8',
      timeout: MS_MAX,
    })
    t.strictSame({ status, says: stderr.split('\n')[0] }, { status: 2, says })
  })
}
