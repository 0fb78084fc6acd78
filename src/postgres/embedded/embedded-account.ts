import { spawnSync } from 'node:child_process'

/** Whom Postgres runs as when we are root. `undefined`: as ourselves, since we are not root. */
export type Account = { uid: number; gid: number } | undefined

/** The name of the account that is made when the system has no `postgres`. */
const OWN_ACCOUNT = 'postrider'

/**
 * An account for Postgres, which refuses to run as root: `postgres`, otherwise our own, made if needed.
 *
 * @throws when we are root and no such account exists or can be made
 */
export function postgresAccount(): Account {
  if (process.getuid?.() !== 0) return undefined
  const account = findAccount('postgres') ?? findAccount(OWN_ACCOUNT) ?? makeAccount()
  const probe = spawnSync('/bin/sh', ['-c', 'exit 0'], { cwd: '/', ...account })
  if (probe.error)
    throw new Error(needsAccount('root may not switch users here'), { cause: probe.error })
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

/** The second command is BusyBox's (Alpine); each fails at once where it does not exist. */
function makeAccount(): NonNullable<Account> {
  const shell = '/sbin/nologin'
  spawnSync('useradd', [
    '--system',
    '--user-group',
    '--no-create-home',
    '--shell',
    shell,
    OWN_ACCOUNT,
  ])
  const made = findAccount(OWN_ACCOUNT)
  if (made) return made
  spawnSync('adduser', ['-S', '-D', '-H', '-s', shell, OWN_ACCOUNT])
  const account = findAccount(OWN_ACCOUNT)
  if (!account) throw new Error(needsAccount(`there is no user "postgres", and useradd failed`))
  return account
}

function needsAccount(why: string): string {
  return (
    `Postgres does not run as root, and no other user can be used (${why}). ` +
    `Start this as an ordinary user, or create one with "useradd --system ${OWN_ACCOUNT}", ` +
    'or set DATABASE_URL to a Postgres of your own.'
  )
}
