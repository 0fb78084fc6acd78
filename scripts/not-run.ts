/**
 * Tells what a run of tests left out, from tap's raw output: `node scripts/not-run.ts <file>`.
 *
 * Prints nothing when everything has run. In CI nothing is left out: .ci/run, scripts/ci-totals.ts.
 */
import { existsSync, readFileSync } from 'node:fs'
import { Parser } from 'tap-parser'
import { isLong } from '../src/testing/long.ts'

const INSTALL = /apt-get install (?:--\S+ )*(\S+)$/

const [, , file = ''] = process.argv

const counts = new Map<string, number>()
const output = existsSync(file) ? readFileSync(file, 'utf8') : ''
for (const [kind, result] of Parser.parse(output, { flat: true })) {
  if (kind !== 'assert' || !(result.skip || result.todo)) continue
  const reason = String(result.skip || result.todo)
  counts.set(reason, (counts.get(reason) ?? 0) + 1)
}

if (counts.size > 0) {
  console.log('\nNot run:')
  for (const [reason, count] of counts) {
    console.log(`  ${count} ${count === 1 ? 'test' : 'tests'}: ${reason}`)
  }
  const packages = [...counts.keys()].flatMap((reason) => INSTALL.exec(reason)?.[1] ?? [])
  if (packages.length > 0) {
    const names = [...new Set(packages)].sort().join(' ')
    console.log(`To run them too: apt-get install --no-install-recommends ${names}`)
  }
}

if (!isLong)
  console.log('\nWhat takes long was left out; `LONG_TESTS=1 npm test` runs it, as .ci/run does.')
