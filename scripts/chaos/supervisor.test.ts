import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { untilAnswer } from '../../src/testing/until.ts'
import { createFolder } from '../../src/testing/wiring/cli.ts'
import { victim } from './faults.ts'
import { createRandom } from './random.ts'
import { type Supervised, supervise } from './supervisor.ts'

/** Stops when its file is there, once it has been asked to; a second signal cuts that short, as with ours. */
const PROGRAM = `
import { existsSync, watchFile } from 'node:fs'
const [, , file] = process.argv
let isAsked = false
const look = () => {
  if (isAsked && existsSync(file)) process.exit(0)
}
process.on('SIGTERM', () => {
  if (isAsked) process.exit(1)
  isAsked = true
  console.log('asked')
  look()
})
watchFile(file, { interval: 20 }, look)
console.log('"api.started"')
`

async function bundle(t: Test) {
  const folder = createFolder(t)
  const program = join(folder, 'program.mjs')
  writeFileSync(program, PROGRAM)
  const cleanup = new AsyncDisposableStack()
  t.teardown(() => cleanup.disposeAsync())
  const start = async (name: string) => {
    const command = [program, join(folder, `${name} may end`)]
    const process = supervise(cleanup, { kind: 'api', name, env: {}, folder, command })
    await process.started()
    return process
  }
  /** Told to end, which it does once `letEnd` is called. */
  const ask = async (process: Supervised) => {
    process.end('SIGTERM')
    const log = () => Promise.resolve(readFileSync(join(folder, `${process.name}.log`), 'utf8'))
    await untilAnswer(log, (text) => text.includes('asked'))
  }
  const letEnd = ({ name }: Supervised) => writeFileSync(join(folder, `${name} may end`), '')
  return { start, ask, letEnd }
}

t.test('one that is stopping when all is stopped is not told twice', async (t) => {
  const { start, ask, letEnd } = await bundle(t)
  const process = await start('one')
  await ask(process)
  const stopped = process.stop()
  letEnd(process)
  t.match(await stopped, { asked: 'SIGTERM', end: 0 })
})

t.test('a fault strikes one that works, not one that has been told to end', async (t) => {
  const { start, ask, letEnd } = await bundle(t)
  const [one, two] = await Promise.all([start('one'), start('two')])
  await ask(one)
  for (let seed = 0; seed < 20; seed++) {
    t.equal(await victim({ processes: [one, two] }, createRandom(seed), 'api'), two, `seed ${seed}`)
  }
  await ask(two)
  const next = victim({ processes: [one, two] }, createRandom(1), 'api')
  letEnd(one)
  t.equal(await next, one, 'and waits for one where none works')
  t.equal(one.lives.length, 2)
  letEnd(two)
})
