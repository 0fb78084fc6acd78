import { type CliProcess, createFolder, startCli } from './cli.ts'
import { createTestDatabase, type TestDatabase, type TestLifetime } from './database.ts'

/** Long enough for any rule about keys, short enough to type. */
const KEY = 'admin-key-of-the-browser'

export interface ServiceWithPages extends TestDatabase {
  url: string
  adminKey: string
  process: CliProcess
  /** Resolves once the first attempt to deliver an event is over. */
  attempted(eventId: string): Promise<unknown>
  /** Calls the API as the admin; throws at a refusal. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it and compare what they find
  call(method: string, path: string, body?: unknown): Promise<any>
}

/** A whole service, API, runner and pages, on its own database; a real process on a real port. */
export async function startServiceWithPages(
  t: TestLifetime,
  env: Record<string, string> = {},
): Promise<ServiceWithPages> {
  const database = await createTestDatabase(t)
  const process = startCli(t, ['dev'], {
    cwd: createFolder(t),
    env: { DATABASE_URL: database.url, PORT: '0', POSTRIDER_ADMIN_KEY: KEY, ...env },
  })
  const greeting = await process.printed(/Stop with Ctrl-C/)
  const url = /API +(\S+)/.exec(greeting)?.[1] ?? ''
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${text}`)
    return text === '' ? null : JSON.parse(text)
  }
  const attempted = (eventId: string) =>
    process.warned(new RegExp(`"eventId":"${eventId}".*"msg":"delivery.attempted"`))
  return { ...database, url, attempted, adminKey: KEY, process, call }
}
