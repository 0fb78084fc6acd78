/**
 * Drives a real service with the published SDKs of Svix, in every language that is installed: `npm run test:svix`. Ends
 * non-zero if one fails.
 *
 * Of each, its own suite runs where its package has one, and then a program of this folder, which sends, receives with
 * a server of that language, and has the SDK verify what came. Packages come from npm, PyPI, the Go module proxy and
 * Maven Central, and stay in .tap/svix.
 */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { migrate } from '../../src/postgres/migrate/migrate.ts'
import { isInstalled } from '../../src/testing/programs.ts'
import { startRestartablePostgres } from '../../src/testing/servers/restartable-postgres.ts'
import { startService } from '../../src/testing/wiring/service.ts'
import { readOptions } from '../bench/options.ts'
import { type Cleanup, runProgram } from '../bench/program.ts'
import { SDKS, type Sdk } from './sdks.ts'

const given = readOptions({ only: { default: '', help: 'such as `npm` or `go`' } })

const FOLDER = join(import.meta.dirname, '..', '..', '.tap', 'svix')
const MINUTES_MAX = 30
/** A first build fetches libraries. */
const STEP_MS_MAX = 600_000
const ADMIN_KEY = 'test-admin-key'

/** @returns where the API is */
async function startServer(cleanup: Cleanup): Promise<string> {
  const teardown = (done: () => unknown) => cleanup.defer(async () => void (await done()))
  const { url } = await startRestartablePostgres({ teardown })
  await migrate(url)
  await startService({ teardown }, 'runner', { DATABASE_URL: url })
  const env = { DATABASE_URL: url, SVIX_API: 'true', POSTRIDER_ADMIN_KEY: ADMIN_KEY }
  return (await startService({ teardown }, 'api', env)).url
}

/** @returns what it says of itself if it fails; null = it does not */
async function tryOne(sdk: Sdk, serverUrl: string): Promise<string | null> {
  const cwd = join(FOLDER, sdk.name.replace(/[^\w.]+/g, '-'))
  mkdirSync(cwd, { recursive: true })
  for (const [name, content] of Object.entries(sdk.files ?? {})) {
    writeFileSync(join(cwd, name), content)
  }
  for (const name of sdk.programs) {
    copyFileSync(join(import.meta.dirname, name), join(cwd, name))
  }
  const env = { ...process.env, ...sdk.env, SVIX_TOKEN: ADMIN_KEY, SVIX_SERVER_URL: serverUrl }
  for (const [program = '', ...args] of [...sdk.build, ...sdk.runs]) {
    try {
      await promisify(execFile)(program, args, { cwd, env, timeout: STEP_MS_MAX })
    } catch (error) {
      // The message has what it wrote to stderr.
      const { message, stdout } = error as Error & { stdout?: string }
      return `${message}\n${stdout}`
    }
  }
  return null
}

await runProgram(
  async (cleanup) => {
    const serverUrl = await startServer(cleanup)
    for (const sdk of SDKS.filter(({ name }) => name.startsWith(given.only))) {
      const missing = sdk.needs.find((program) => !isInstalled(program))
      const wrong = missing ? null : await tryOne(sdk, serverUrl)
      console.log(
        `${sdk.name}: ${missing ? `not run, ${missing} is not installed` : (wrong ?? 'ok')}`,
      )
      if (wrong !== null) process.exitCode = 1
    }
  },
  { minutesMax: MINUTES_MAX },
)
