/**
 * Prints the files that `npm test` gives to tap, one a line: those that start whole programs as they are, and one for
 * each group of others, which run one after the other in one process.
 *
 * Two in three files belong to a group. A separate process costs each between a quarter and a whole second of the
 * processor, for what tap and the API load and compile, before the first test.
 */
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { TOGETHER } from '../src/testing/process/together-folder.ts'

const root = join(import.meta.dirname, '..')
/** They start the program, servers or a browser, and most take long: the longest come first. */
const FIRST = /^scripts\//
const LAST = /^src\/system\/(?:runner\/|[^/]+$)|\.browser\.test\.ts$/
/** Few enough that what is left at the end is never long. */
const GROUP_MAX = 8

const files = globSync('{src,scripts}/**/*.test.ts', { cwd: root }).sort()
const short = files.filter((file) => !FIRST.test(file) && !LAST.test(file))
const groupCount = Math.ceil(short.length / GROUP_MAX)

const folder = join(root, TOGETHER)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

/** Of neighbours, as files of one folder import the same. */
function writeGroup(n: number): string {
  const [from, to] = [n, n + 1].map((at) => Math.round((at * short.length) / groupCount))
  const name = `${TOGETHER}${String(n + 1).padStart(2, '0')}.test.ts`
  const lines = [
    `import { runTogether } from '../../src/testing/process/together.ts'`,
    `await runTogether(${JSON.stringify(short.slice(from, to), null, 2)})`,
  ]
  writeFileSync(join(root, name), `${lines.join('\n')}\n`)
  return name
}

const chosen = [
  ...files.filter((file) => FIRST.test(file)),
  // Those of src/system first, which take the longest.
  ...Array.from({ length: groupCount }, (_, n) => writeGroup(n)).reverse(),
  ...files.filter((file) => LAST.test(file)),
]
console.log(chosen.join('\n'))
