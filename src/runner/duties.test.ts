import { readFileSync } from 'node:fs'
import t from 'tap'
import { DUTIES } from './duties.ts'

// Issue 14: the docs left out retention, which deletes people's data.
t.test('the docs list every duty of a runner, and how often it is done', async (t) => {
  const docs = readFileSync(new URL('../../docs/reference/duties.md', import.meta.url), 'utf8')
  const [, table = ''] = docs.split('| every | what |\n')
  const [, ...rows] = table.slice(0, table.indexOf('\n\n')).split('\n')
  const heartbeat = '| second | heartbeat; find dead runners and reassign their work |'
  t.strictSame(rows, [heartbeat, ...DUTIES.map(({ every, what }) => `| ${every} | ${what} |`)])
})
