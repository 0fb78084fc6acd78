import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Account } from './embedded-account.ts'
import type { Binaries } from './embedded-binaries.ts'
import type { Folders } from './embedded-folders.ts'

/** From here on Postgres brings its own C.UTF-8, whatever the system has. */
const BUILTIN_LOCALE_MAJOR = 17
/** Enough to hold the reason and what led to it, short enough for a terminal. */
const OUTPUT_LINES_MAX = 20

/** The superuser's password, which is made once; a lost one is replaced. */
export async function ensureCluster(
  folders: Folders,
  binaries: Binaries,
  { isDurable }: { isDurable: boolean },
): Promise<string> {
  const pgdata = join(folders.base, 'data')
  await removeUnfinished(folders.base)
  if (!existsSync(join(pgdata, 'PG_VERSION'))) return await init(folders, binaries, isDurable)
  await assertMajor(pgdata, binaries)
  const password = await readFile(passwordFile(folders), 'utf8').catch(() => undefined)
  return password ?? (await replacePassword(folders, binaries))
}

/**
 * An initdb that was cut off leaves its folder under the temporary name. If only our process was
 * killed, it may still be writing there, hence the retries.
 */
async function removeUnfinished(base: string): Promise<void> {
  const names = await readdir(base)
  for (const name of names.filter((name) => name.startsWith('init.'))) {
    await rm(join(base, name), { recursive: true, force: true, maxRetries: 10 })
  }
}

async function assertMajor(pgdata: string, binaries: Binaries): Promise<void> {
  const major = Number.parseInt(await readFile(join(pgdata, 'PG_VERSION'), 'utf8'), 10)
  if (major === binaries.major) return
  throw new Error(
    `${pgdata} was created by Postgres ${major}, but this is Postgres ${binaries.major}; ` +
      'use another folder, or move the data with pg_dump',
  )
}

/** Makes the cluster under a temporary name, so that `data` is complete or does not exist. */
async function init(folders: Folders, binaries: Binaries, isDurable: boolean): Promise<string> {
  const { base, account } = folders
  const password = await newPassword(folders)
  const unfinished = join(base, `init.${process.pid}`)
  await mkdir(unfinished, { mode: 0o700 })
  await own(unfinished, account)
  const given = join(base, 'init.password')
  await writeFile(given, password, { mode: 0o600 })
  await own(given, account)
  await initdb(unfinished, given, folders, binaries, isDurable)
  await rm(given)
  await rename(unfinished, join(base, 'data')) // fails when a folder with something else is there
  return password
}

/** Only scram, even for local connections: other users of the machine can reach the port too. */
async function initdb(
  pgdata: string,
  pwfile: string,
  { account }: Folders,
  { folder, major }: Binaries,
  isDurable: boolean,
): Promise<void> {
  const fixed = ['-D', pgdata, '-U', 'postgres', '-E', 'UTF8', '-A', 'scram-sha-256']
  const sync = isDurable ? [] : ['--no-sync']
  const args = [...fixed, `--pwfile=${pwfile}`, '--lc-messages=C', '--no-instructions', ...sync]
  const [first, ...others] = localeArguments(major)
  const program = join(folder, 'initdb')
  let result = await run(program, [...args, ...(first ?? [])], account)
  for (const locale of others) {
    if (result.code !== 0) result = await run(program, [...args, ...locale], account)
  }
  if (result.code !== 0) throw new Error(`${program} failed:\n${lastLines(result.output)}`)
}

/** In order of preference: an older Postgres depends on the system for C.UTF-8. */
function localeArguments(major: number): string[][] {
  return major >= BUILTIN_LOCALE_MAJOR
    ? [['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']]
    : [['--locale=C.UTF-8'], ['--locale=C']]
}

/** Single-user mode asks for no password, and only the owner of the data can use it. */
async function replacePassword(folders: Folders, { folder }: Binaries): Promise<string> {
  const password = await newPassword(folders)
  const args = ['--single', '-D', join(folders.base, 'data'), 'postgres']
  const statement = `alter user postgres password '${password}'\n`
  const { code, output } = await run(join(folder, 'postgres'), args, folders.account, statement)
  if (code !== 0) throw new Error(`cannot set a new password:\n${lastLines(output)}`)
  return password
}

async function newPassword(folders: Folders): Promise<string> {
  const password = randomBytes(24).toString('base64url')
  await writeFile(passwordFile(folders), password, { mode: 0o600 })
  return password
}

function passwordFile({ home }: Folders): string {
  return join(home, 'password')
}

async function own(path: string, account: Account): Promise<void> {
  if (account) await chown(path, account.uid, account.gid)
}

/** Runs a program of Postgres to its end; what it prints is returned, not shown. */
async function run(
  program: string,
  args: string[],
  account: Account,
  input = '',
): Promise<{ code: number | null; output: string }> {
  const child = spawn(program, args, { cwd: '/', env: postgresEnvironment(), ...account })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  child.stdin.on('error', () => undefined).end(input) // it may exit without reading
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

/** Without PGDATA, PGOPTIONS and the like, which somebody may have set for another server. */
export function postgresEnvironment(): Record<string, string | undefined> {
  // biome-ignore lint/style/noProcessEnv: a child inherits it; nothing is configured through it here
  const entries = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name))
  return { ...Object.fromEntries(entries), LC_ALL: 'C' }
}

/** The end of a file, for an error message. */
export async function tailOf(path: string): Promise<string> {
  const file = await open(path, 'r')
  try {
    return lastLines(await file.readFile('utf8'))
  } finally {
    await file.close()
  }
}

function lastLines(text: string): string {
  return text.trimEnd().split('\n').slice(-OUTPUT_LINES_MAX).join('\n')
}
