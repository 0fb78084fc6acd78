/**
 * Counts the assertions in tap's raw output: `node scripts/ci-totals.ts <file> <exit code of tap>`.
 *
 * Prints `passed failed` on stdout, and on stderr what failed or was skipped. A skipped test proves
 * nothing, so in CI it counts as failed unless it is listed here.
 */
import { readFileSync } from 'node:fs'
import { Parser } from 'tap-parser'

/** Names of tests that may be skipped or left as a todo in CI, each with its reason. */
const ALLOWED_SKIPS: Record<string, string> = {
  'src/postgres/embedded/embedded-postgres.test.ts > as root goes on with the data of an ordinary user, as that user':
    'an ordinary user has to be able to enter the checkout; below /root none can',
}

const [, , file = '', exitCode = '1'] = process.argv

function readOutput(): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

let passed = 0
let failed = 0
for (const [kind, result] of Parser.parse(readOutput(), { flat: true })) {
  if (kind !== 'assert') continue
  const isSkipped = Boolean(result.skip || result.todo)
  if (isSkipped && ALLOWED_SKIPS[result.fullname] !== undefined) continue
  if (result.ok && !isSkipped) {
    passed += 1
    continue
  }
  failed += 1
  console.error(`${isSkipped ? 'skipped' : 'failed'}: ${result.fullname}`)
}

// A run without tests, or one that tap calls failed although every assertion passed: a process
// that hung, a plan that was not met, a `before` that threw.
if (failed === 0 && (passed === 0 || exitCode !== '0')) {
  console.error(`tap ended with ${exitCode} after ${passed} passed assertions`)
  failed += 1
}
console.log(`${passed} ${failed}`)
