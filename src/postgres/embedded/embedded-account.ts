import { spawnSync } from 'node:child_process'

/** Whom Postgres runs as when we are root. `undefined`: as ourselves, since we are not root. */
export type Account = { uid: number; gid: number } | undefined

/** The user of Debian's Postgres, and the one that every system has. */
const NAMES = ['postgres', 'nobody']

/**
 * An account for Postgres, which refuses to run as root: one that is there, as an embedded server is no reason to add a
 * user to a system.
 *
 * @throws when we are root and there is none, or root may not switch
 */
export function postgresAccount(names: readonly string[] = NAMES): Account {
  if (process.getuid?.() !== 0) return undefined
  const account = names.map(findAccount).find((found) => found !== undefined)
  if (!account) throw new Error(needsAccount(`there is no user ${names.join(' or ')}`))
  const probe = spawnSync('/bin/sh', ['-c', 'exit 0'], { cwd: '/', ...account })
  if (probe.error)
    throw new Error(needsAccount('root cannot switch users here'), { cause: probe.error })
  return account
}

/** Whether the account can enter this folder, which takes search permission on every ancestor. */
export function canEnter(account: Account, folder: string): boolean {
  const args = ['-c', 'test -x "$1"', 'sh', folder]
  return spawnSync('/bin/sh', args, { cwd: '/', ...account }).status === 0
}

function findAccount(name: string): Account {
  const [uid, gid] = ['-u', '-g'].map((flag) => {
    const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8' })
    return status === 0 ? Number(stdout) : undefined
  })
  return uid !== undefined && gid !== undefined ? { uid, gid } : undefined
}

function needsAccount(why: string): string {
  return (
    `Postgres does not run as root, and no other user can be used (${why}). ` +
    'Start this as an ordinary user, or set DATABASE_URL to a Postgres of your own.'
  )
}
