import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { plainNode } from '../../src/testing/wiring/cli.ts'

/**
 * Runs a program of ours to its end and reads the report that it ends with; null, and the test has failed, where it
 * has ended otherwise.
 */
export async function runToReport(
  t: Pick<Test, 'teardown' | 'fail'>,
  program: string,
  options: Record<string, string | number>,
) {
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`])
  const child = spawn(...plainNode(program, ...args), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] },
  })
  t.teardown(() => child.kill('SIGTERM'))
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ])
  const line = stdout.trim().split('\n').at(-1) ?? ''
  if (exitCode === 0) return JSON.parse(line)
  // As its name, since names of what failed are the last lines of CI.
  t.fail(`it ended with ${exitCode}: ${line} ${stderr}`)
  return null
}
