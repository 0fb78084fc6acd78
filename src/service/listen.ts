import { type Config, ConfigError } from '../config/config.ts'
import { type HttpServer, startHttp } from '../http/start-http.ts'
import { createBodyBounds } from './body-bounds.ts'

/** Answers before there is anything to answer with. */
export function createStartingApp() {
  let serving: Parameters<typeof startHttp>[0]['app'] | undefined
  const starting = { ready: false, checks: { service: 'starting' } }
  return {
    serve: (app: typeof serving) => {
      serving = app
    },
    fetch: (request: Request, env?: object) =>
      serving?.fetch(request, env) ?? Response.json(starting, { status: 503 }),
  }
}

/** @throws ConfigError when the address is not to be had */
export async function listen(
  { host, port, eventBytesMax }: Pick<Config, 'host' | 'port' | 'eventBytesMax'>,
  app: Parameters<typeof startHttp>[0]['app'],
): Promise<HttpServer> {
  const bodyBytesMax = createBodyBounds({ eventBytesMax })
  const address = { host, port, variable: 'PORT' }
  return await bind(() => startHttp({ app, host, port, bodyBytesMax }), address)
}

/**
 * Puts a server on its address, and blames the configuration when that is not to be had.
 *
 * @param address.variable that the port comes from
 */
export async function bind<T>(
  start: () => Promise<T>,
  address: { host: string; port: number; variable: string },
): Promise<T> {
  try {
    return await start()
  } catch (error) {
    const mistake = mistakeInAddress(error, address)
    throw mistake ? new ConfigError([mistake]) : error
  }
}

function mistakeInAddress(
  error: unknown,
  { host, port, variable }: { host: string; port: number; variable: string },
): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  switch (code) {
    case 'EADDRINUSE':
      return `${variable} ${port} is in use by another process; stop that, or set ${variable} to another one`
    case 'EACCES':
      return `${variable} ${port} cannot be used by this user; set ${variable} to one from 1024 on`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST ${host} is no address of this machine`
    default:
      return undefined
  }
}

/** A URL that works on this machine also when the API listens on every address. */
export function urlOf({ host }: Pick<Config, 'host'>, { url, port }: HttpServer): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  return host === '::' ? `http://[::1]:${port}` : url
}
