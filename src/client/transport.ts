import { errorOf, PostriderError } from './error.ts'
import { type Failure, pauseMs } from './retry.ts'

export interface Transport {
  /**
   * Sends a request until it is answered or must not be sent again; resolves with what the answer holds.
   *
   * @throws PostriderError
   * @throws the reason of the signal
   */
  send(method: string, path: string, init: RequestParts, isRepeatable: boolean): Promise<unknown>
  /**
   * Opens a stream, once. It is cut when nothing comes for the time that a try has.
   *
   * @throws PostriderError, also while it is read
   */
  read(path: string, init: RequestParts): AsyncGenerator<Uint8Array, void, undefined>
}

/** Of a request, whatever its operation. */
export interface RequestParts extends Patience {
  path?: Record<string, unknown>
  query?: Record<string, unknown>
  headers?: Record<string, string | undefined>
  body?: unknown
}

export interface Patience {
  /** Gives up, also while waiting for the next try. */
  signal?: AbortSignal | undefined
  /** Time that each try has; instead of the client's. */
  timeoutMs?: number | undefined
}

export interface TransportOptions {
  url: string
  apiKey: string
  tries: number
  timeoutMs: number
  fetch: (url: string, init: RequestInit) => Promise<Response>
}

export function createTransport(options: TransportOptions): Transport {
  const base = options.url.replace(/\/+$/, '')
  return {
    async send(method, path, init, isRepeatable) {
      const url = `${base}${filled(path, init.path)}${queryOf(init.query)}`
      for (let tried = 1; ; tried += 1) {
        const { answer, failure } = await tryOnce(options, method, url, init)
        if (!failure) return answer
        const pause = pauseMs(failure, { tried, isRepeatable, random: Math.random() })
        if (pause === null || tried >= options.tries) throw failure.error
        await wait(pause, init.signal)
      }
    },
    read: (path, init) => {
      const url = `${base}${filled(path, init.path)}${queryOf(init.query)}`
      return readStream(options, url, init)
    },
  }
}

async function tryOnce(
  { apiKey, fetch, timeoutMs: usualMs }: TransportOptions,
  method: string,
  url: string,
  { headers, body, signal, timeoutMs = usualMs }: RequestParts,
): Promise<{ answer?: unknown; failure?: Failure }> {
  const timeout = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      method,
      headers: headersOf(apiKey, headers, body),
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // A redirect would turn a POST into a GET; the API has none.
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    })
    if (response.ok) return { answer: await answerOf(response) }
    const retryAfter = response.headers.get('retry-after')
    return { failure: { error: await errorOf(response), retryAfter } }
  } catch (cause) {
    signal?.throwIfAborted()
    if (cause instanceof PostriderError) return { failure: { error: cause } }
    const code = timeout.aborted ? 'timeout' : 'unreachable'
    const message = timeout.aborted ? `no response within ${timeoutMs} ms` : 'no response'
    return { failure: { error: new PostriderError(message, { code, cause }) } }
  }
}

async function* readStream(
  { apiKey, fetch, timeoutMs: usualMs }: TransportOptions,
  url: string,
  { headers, signal, timeoutMs = usualMs }: RequestParts,
): AsyncGenerator<Uint8Array, void, undefined> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), timeoutMs)
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  try {
    const response = await fetch(url, {
      headers: headersOf(apiKey, headers, undefined),
      redirect: 'error',
      signal: signal ? AbortSignal.any([signal, silence.signal]) : silence.signal,
    })
    if (!response.ok) throw await errorOf(response)
    reader = response.body?.getReader()
    for (;;) {
      const { value } = (await reader?.read()) ?? {}
      if (!value) return
      clearTimeout(timer)
      yield value
      timer = setTimeout(() => silence.abort(), timeoutMs)
    }
  } catch (cause) {
    if (cause instanceof PostriderError) throw cause
    const code = silence.signal.aborted ? 'timeout' : 'unreachable'
    const message = code === 'timeout' ? `nothing came for ${timeoutMs} ms` : 'no response'
    throw new PostriderError(message, { code, cause })
  } finally {
    clearTimeout(timer)
    await reader?.cancel().catch(() => undefined)
  }
}

function headersOf(apiKey: string, headers: RequestParts['headers'] = {}, body: unknown) {
  const given = Object.entries(headers).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return {
    ...Object.fromEntries(given),
    authorization: `Bearer ${apiKey}`,
    ...(body !== undefined && { 'content-type': 'application/json' }),
  }
}

/** `204` has nothing. */
async function answerOf(response: Response): Promise<unknown> {
  const text = await response.text()
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch (cause) {
    const message = `a response that is not JSON: ${text.slice(0, 200)}`
    const { status } = response
    throw new PostriderError(message, { code: 'unexpected_answer', status, cause })
  }
}

/** @throws TypeError for what would be another path */
function filled(path: string, values: Record<string, unknown> = {}): string {
  return path.replace(/\{(\w+)\}/g, (_, name) => {
    const value = String(values[name] ?? '')
    if (['', '.', '..'].includes(value)) throw new TypeError(`${name} cannot be "${value}"`)
    return encodeURIComponent(value)
  })
}

function queryOf(query: Record<string, unknown> = {}): string {
  const given = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== null)
    .flatMap(([name, value]) => [value].flat().map((one): [string, string] => [name, String(one)]))
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`
}

/** Rejects with the reason of the signal when that comes first. */
export function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, ms)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}
