import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isAlive, LockedByProcess, lockFile } from '../database/process-lock.ts'

/** In the checkout, so that two checkouts never share a server. */
const FOLDER = fileURLToPath(new URL('../../.tap/test-database/', import.meta.url))
/** Far more than starting the server and migrating a template takes. */
const LOCK_MS_MAX = 60_000
const LOCK_POLL_MS = 50

/** Data of the server that all test files of this checkout share. */
export const SERVER_DATA = join(FOLDER, 'postgres')

/** Where test files find their server, and what they make their databases from. */
export type TestServer = { url: string; template: string }

/** @throws when no test run has started the server */
export async function readTestServer(): Promise<TestServer> {
  try {
    return JSON.parse(await readFile(join(FOLDER, 'server.json'), 'utf8'))
  } catch (error) {
    throw new Error('no test database; run this file with `npx tap <file>`', { cause: error })
  }
}

/** Replaces the file as a whole, as test files of another run may be reading it. */
export async function writeTestServer(server: TestServer): Promise<void> {
  const file = join(FOLDER, 'server.json')
  await writeFile(`${file}.${process.pid}`, JSON.stringify(server), { mode: 0o600 })
  await rename(`${file}.${process.pid}`, file)
}

/** Notes that the given test run uses the server, until the run says otherwise or its process ends. */
export async function enter(run: number): Promise<void> {
  await writeFile(join(FOLDER, `run.${run}`), '')
}

/** Takes the note back, and those of runs that were killed; tells whether another run goes on. */
export async function leave(run: number): Promise<{ isLast: boolean }> {
  let isLast = true
  for (const name of (await readdir(FOLDER)).filter((name) => name.startsWith('run.'))) {
    const pid = Number(name.slice('run.'.length))
    if (pid === run || !isAlive(pid)) await rm(join(FOLDER, name), { force: true })
    else isLast = false
  }
  return { isLast }
}

/** One at a time: two runs may begin, or one end while another begins. */
export async function exclusively<T>(work: () => Promise<T>): Promise<T> {
  await mkdir(FOLDER, { recursive: true })
  const unlock = await waitForLock()
  try {
    return await work()
  } finally {
    await unlock()
  }
}

async function waitForLock(): Promise<() => Promise<void>> {
  const deadline = Date.now() + LOCK_MS_MAX
  for (;;) {
    try {
      return await lockFile(join(FOLDER, 'lock'))
    } catch (error) {
      if (!(error instanceof LockedByProcess) || Date.now() > deadline) throw error
    }
    await delay(LOCK_POLL_MS)
  }
}
