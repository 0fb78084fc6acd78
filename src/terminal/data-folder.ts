import { randomBytes } from 'node:crypto'
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { LockedByProcess, lockFile } from '../postgres/process-lock.ts'
import { CONNECTION_FILE, type Connection, DATABASE_URL_FILE } from './connection.ts'

/** As many as AES-256 takes, and as an admin key far beyond guessing. */
const KEY_BYTES = 32

/** Another `postrider dev` runs in the folder. */
class DevRunsAlready extends Error {
  override readonly name = 'DevRunsAlready'
  readonly code = 'dev_runs_already'
  constructor(folder: string, pid: number) {
    super(
      `postrider dev runs in ${folder} already, as process ${pid}; stop it, or set POSTRIDER_DATA`,
    )
  }
}

export interface DataFolder {
  /** Without symbolic links. */
  path: string
  adminKey: string
  adminKeyFile: string
  /** The admin key was generated just now, so nobody has seen it yet. */
  isAdminKeyNew: boolean
  encryptionKeys: readonly Buffer[]
  /** Lets the client commands find the running service, and `psql` its database. */
  writeConnection(connection: Connection, databaseUrl: string): Promise<void>
  /** Forgets the connection and lets the next process in. */
  close(): Promise<void>
}

/**
 * Opens the folder of `postrider dev` for this process alone, and makes the keys that are missing.
 * Files that hold a key can be read by their owner only.
 *
 * @param given keys of the environment. An admin key replaces the kept one, since the printed curl
 * reads it from its file; encryption keys are used as they are, and not written down.
 * @throws DevRunsAlready
 */
export async function openDataFolder(
  folder: string,
  given: { adminKey: string | undefined; encryptionKeys: readonly Buffer[] | undefined },
): Promise<DataFolder> {
  await mkdir(folder, { recursive: true })
  const path = await realpath(folder)
  const unlock = await lock(path)
  const file = (name: string) => join(path, name)
  try {
    await writeFile(file('.gitignore'), '*\n') // the keys below must not be committed by accident
    const adminKey = await keepKey(file('admin-key'), 'base64url', given.adminKey)
    const encryptionKeys = given.encryptionKeys ?? [
      Buffer.from((await keepKey(file('encryption-key'), 'base64')).key, 'base64'),
    ]
    return {
      path,
      adminKey: adminKey.key,
      adminKeyFile: file('admin-key'),
      isAdminKeyNew: adminKey.isNew,
      encryptionKeys,
      async writeConnection(connection, databaseUrl) {
        await writePrivately(file(DATABASE_URL_FILE), databaseUrl)
        await writePrivately(file(CONNECTION_FILE), JSON.stringify(connection))
      },
      async close() {
        await rm(file(CONNECTION_FILE), { force: true })
        await rm(file(DATABASE_URL_FILE), { force: true })
        await unlock()
      },
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

async function lock(path: string): Promise<() => Promise<void>> {
  try {
    return await lockFile(join(path, 'lock'))
  } catch (error) {
    throw error instanceof LockedByProcess ? new DevRunsAlready(path, error.pid) : error
  }
}

/** The key in the file: the given one, otherwise the one that was there, otherwise a new one. */
async function keepKey(
  file: string,
  encoding: 'base64' | 'base64url',
  given?: string,
): Promise<{ key: string; isNew: boolean }> {
  const kept = (await readFile(file, 'utf8').catch(() => '')).trim()
  const isNew = !given && kept === ''
  const key = given ?? (isNew ? randomBytes(KEY_BYTES).toString(encoding) : kept)
  if (key !== kept) await writePrivately(file, key)
  return { key, isNew }
}

/** Appears complete or not at all, and is never readable by others in between. */
async function writePrivately(file: string, text: string): Promise<void> {
  const unfinished = `${file}.${process.pid}`
  await writeFile(unfinished, `${text}\n`, { mode: 0o600 })
  await rename(unfinished, file)
}
