import { readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { ConfigError, readConfig } from '../config/config.ts'
import { urlOfOne } from '../postgres/servers.ts'
import type { CommandContext } from './context.ts'

/** Where a client command sends its requests, and as whom. */
export interface Connection {
  /** Without a slash at the end. */
  url: string
  key: string
}

/** Written by `postrider dev` into its data folder while it runs, readable by its owner only. */
export const CONNECTION_FILE = 'cli.json'
/** Written next to it: for `psql "$(cat .postrider/database-url)"`, and for `postrider doctor`. */
export const DATABASE_URL_FILE = 'database-url'
const connectionFile = z.object({ url: z.string(), key: z.string() })

const ADVICE = 'set it, or run this where `postrider dev` runs (`npm start`)'
const CHECKOUT = join(import.meta.dirname, '..', '..')

/**
 * Finds the API and the key: POSTRIDER_URL and POSTRIDER_API_KEY, or what a running `postrider dev`
 * has written. Its file is looked for in POSTRIDER_DATA when that is set, otherwise in `.postrider` of
 * the current folder and those above, and last in the checkout of this program.
 *
 * @throws ConfigError saying what is missing
 */
export async function findConnection(
  context: Pick<CommandContext, 'env' | 'cwd'>,
): Promise<Connection> {
  const { apiUrl, apiKey } = readConfig(context.env, 'client')
  if (apiUrl && apiKey) return { url: apiUrl, key: apiKey }

  const found = await findFile(context)
  // The key of a local service is not for another service that POSTRIDER_URL may name.
  const isFor = apiUrl === undefined || apiUrl === found?.url
  const url = apiUrl ?? found?.url
  const key = apiKey ?? (isFor ? found?.key : undefined)
  if (url && key) return { url, key }

  throw new ConfigError([
    ...(url ? [] : [`POSTRIDER_URL is not set and no running service was found: ${ADVICE}`]),
    ...(key ? [] : [`POSTRIDER_API_KEY is not set and no running service was found: ${ADVICE}`]),
  ])
}

/**
 * Finds the database: DATABASE_DIRECT_URL, as a pooler does not take the settings of our sessions, or
 * DATABASE_URL, or that of a running `postrider dev`, whose file is looked for where `findConnection` looks
 * for its own.
 *
 * @throws ConfigError saying what is missing
 */
export async function findDatabase(
  context: Pick<CommandContext, 'env' | 'cwd'>,
): Promise<{ databaseUrl: string }> {
  const config = readConfig(context.env, 'client')
  const configured = config.databaseDirectUrl ?? config.databaseUrl
  const databaseUrl = configured ?? (await readOwn(context, DATABASE_URL_FILE))?.trim()
  if (databaseUrl) return { databaseUrl: await urlOfOne(databaseUrl) }
  throw new ConfigError([
    `DATABASE_URL is not set and no running \`postrider dev\` was found: ${ADVICE}`,
  ])
}

async function findFile(context: Pick<CommandContext, 'env' | 'cwd'>) {
  const text = await readOwn(context, CONNECTION_FILE)
  return text === undefined ? undefined : connectionFile.parse(JSON.parse(text))
}

/** The nearest file of this name in a data folder. */
async function readOwn({ env, cwd }: Pick<CommandContext, 'env' | 'cwd'>, name: string) {
  for (const folder of dataFolders(env['POSTRIDER_DATA'], cwd)) {
    const file = join(folder, name)
    if (await isOwn(file)) return await readFile(file, 'utf8')
  }
  return undefined
}

function dataFolders(configured: string | undefined, cwd: string): string[] {
  if (configured) return [resolve(cwd, configured)]
  const folders: string[] = []
  for (let at = resolve(cwd); ; at = dirname(at)) {
    folders.push(join(at, '.postrider'))
    if (at === dirname(at)) break
  }
  return [...folders, join(CHECKOUT, '.postrider')]
}

/** A file that another user left in a shared folder must not decide where our events go. */
async function isOwn(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined)
  const user = process.getuid?.()
  return found !== undefined && (user === undefined || found.uid === user || found.uid === 0)
}
