import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isAlive, lockFile } from './process-lock.ts'

const lockIn = (t: Test) => join(t.testdir(), 'lock')

t.test('keeps others out while its process lives', async (t) => {
  const file = lockIn(t)
  const unlock = await lockFile(file)
  await t.rejects(lockFile(file), { code: 'locked_by_process', pid: process.pid, message: /holds/ })
  await unlock()
  await unlock()
  await (await lockFile(file))()
})

t.test('lapses with its process', async (t) => {
  const file = lockIn(t)
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  await writeFile(file, `${child.pid} 12345`)
  await lockFile(file)
  t.match(await readFile(file, 'utf8'), new RegExp(`^${process.pid} `))
})

t.test('lapses when its process id belongs to another process by now', async (t) => {
  const file = lockIn(t)
  await writeFile(file, `${process.pid} 1`)
  await lockFile(file)
  t.not(await readFile(file, 'utf8'), `${process.pid} 1`)
})

t.test('a file without content belongs to nobody', async (t) => {
  const file = lockIn(t)
  await writeFile(file, '')
  await lockFile(file)
  t.match(await readFile(file, 'utf8'), new RegExp(`^${process.pid} `))
})

t.test('knows the living from the dead', async (t) => {
  t.equal(isAlive(process.pid), true)
  t.equal(isAlive(1), true, 'also when it belongs to another user')
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  t.equal(isAlive(child.pid ?? 0), false)
})
