import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Account, canEnter, postgresAccount } from './embedded-account.ts'
import { SHARED_FOLDER } from './embedded-binaries.ts'
import { stopOrphan } from './postmaster.ts'

/**
 * Where one embedded Postgres keeps its things.
 *
 * `home` is the folder that was asked for, with the password, the port and the log. `base` holds
 * `data`, which the account must reach: the same folder, unless root asked for one that only root
 * can enter (`/root/postrider`); then one below /var/lib.
 */
export type Folders = { home: string; base: string; account: Account }

/** Marks in `home` that the data are elsewhere; says where to anyone who looks. */
const MARKER = 'data-is-elsewhere'

/** Finds or chooses the folders; data that exist already stay where and whose they are. */
export async function chooseFolders(dataDir: string): Promise<Folders> {
  const created = await mkdir(dataDir, { recursive: true })
  const home = await realpath(dataDir)
  if (created && process.getuid?.() === 0) await chmod(home, 0o711)
  const owner = await ownerOf(join(home, 'data'))
  if (owner)
    return { home, base: home, account: owner.uid === process.getuid?.() ? undefined : owner }
  const account = postgresAccount()
  if (canEnter(account, home)) return { home, base: home, account }
  return { home, base: await elsewhere(home), account }
}

/** Root runs existing data as their owner; to anybody else, data of others are an error. */
async function ownerOf(pgdata: string): Promise<{ uid: number; gid: number } | undefined> {
  const found = await stat(pgdata).catch(() => undefined)
  const own = process.getuid?.()
  if (!found || own === undefined || found.uid === 0) return undefined
  if (own === 0 || own === found.uid) return { uid: found.uid, gid: found.gid }
  throw new Error(
    `${pgdata} belongs to user ${found.uid}, not to you (user ${own}); choose another folder`,
  )
}

/**
 * The folder below /var/lib that belongs to this home.
 *
 * Somebody who deletes the home wants to begin again, so data without a marker in the home are put
 * aside. One such older copy is kept, in case the deletion was a mistake.
 */
async function elsewhere(home: string): Promise<string> {
  const hash = createHash('sha256').update(home).digest('hex').slice(0, 16)
  const base = join(SHARED_FOLDER, hash)
  const marker = join(home, MARKER)
  if (!existsSync(marker) && existsSync(base)) {
    await stopOrphan(join(base, 'data'))
    await rm(`${base}.old`, { recursive: true, force: true })
    await rename(base, `${base}.old`)
  }
  await writeFile(marker, `${base}\n`) // first: a start at the same moment must not put `base` aside
  await mkdir(base, { recursive: true })
  await chmod(SHARED_FOLDER, 0o755)
  await chmod(base, 0o711)
  return base
}
