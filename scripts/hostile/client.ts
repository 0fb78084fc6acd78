import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import type { Target } from './target.ts'

/** Far above what any answer takes, so that one that takes longer counts as none. */
const ANSWER_MS_MAX = 15_000
/** An answer is looked at so far. */
const ANSWER_BYTES_MAX = 4_194_304
/** A client that opens more is an attack itself, and would be one here too. */
const CONNECTIONS_MAX = 64

export interface Answer {
  /** 0 = there was none. */
  status: number
  headers: IncomingHttpHeaders
  text: string
}

export interface Call {
  /** API key; none when left out. */
  key?: string | undefined
  cookie?: string | undefined
  /** Sent as JSON. */
  body?: unknown
  /** Sent as a form of this origin, unless `headers` say otherwise. */
  form?: Record<string, string>
  headers?: Record<string, string>
  /** Stops reading after so long, for answers without an end. */
  readMsMax?: number
}

export interface Client {
  target: Target
  send(method: string, path: string, call?: Call): Promise<Answer>
}

/** Sends requests to the target and nowhere else: no redirect is followed, no proxy is used. */
export function createClient(target: Target, signal: AbortSignal): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS_MAX })
  const send: Client['send'] = (method, path, call = {}) => {
    const body = bodyOf(call)
    const options = { ...{ method, path, agent, signal }, ...addressOf(target) }
    const headers = { ...headersOf(target, call), ...(body && { 'content-length': body.length }) }
    return new Promise((resolve, reject) => {
      const sent = request({ ...options, headers, setHost: false })
      sent.setTimeout(ANSWER_MS_MAX, () => sent.destroy(new Error('no response in time')))
      sent.on('error', (error) => (signal.aborted ? reject(error) : resolve(none(error))))
      sent.on('response', (response) => void read(response, call).then(resolve, reject))
      sent.end(body)
    })
  }
  return { target, send }
}

const addressOf = ({ address, port }: Target) => ({ host: address, port })

function headersOf({ host, origin }: Target, call: Call): Record<string, string> {
  return {
    host,
    ...(call.key !== undefined && { authorization: `Bearer ${call.key}` }),
    ...(call.cookie !== undefined && { cookie: call.cookie }),
    ...(call.body !== undefined && { 'content-type': 'application/json' }),
    ...(call.form && { 'content-type': 'application/x-www-form-urlencoded', origin }),
    ...call.headers,
  }
}

function bodyOf({ body, form }: Call): Buffer | undefined {
  if (form) return Buffer.from(String(new URLSearchParams(form)))
  if (body === undefined) return undefined
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

const none = (error: Error): Answer => ({ status: 0, headers: {}, text: error.message })

/** As far as it comes: one that is cut off is an answer too. */
async function read(response: IncomingMessage, { readMsMax }: Call): Promise<Answer> {
  const chunks: Buffer[] = []
  let bytes = 0
  const timer =
    readMsMax === undefined ? undefined : setTimeout(() => response.destroy(), readMsMax)
  try {
    for await (const chunk of response) {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > ANSWER_BYTES_MAX) break
    }
  } catch {
    // Cut off.
  }
  clearTimeout(timer)
  const { statusCode: status = 0, headers } = response
  return { status, headers, text: Buffer.concat(chunks).toString() }
}

/** `404 tenant_not_found`, `303 /console`. */
export function describe({ status, headers, text }: Answer): string {
  if (status === 0) return `no answer (${text})`
  const code = /"code": ?"(\w+)"/.exec(text)?.[1] ?? headers.location
  return code === undefined ? `${status}` : `${status} ${code}`
}

/** The body of an answer that has to be there for an attack to be carried out. */
// biome-ignore lint/suspicious/noExplicitAny: an answer of the API, looked into by name
export function needed(answer: Answer, what: string): any {
  if (answer.status >= 200 && answer.status < 300) {
    return answer.text === '' ? null : JSON.parse(answer.text)
  }
  throw new Error(`${what}: ${describe(answer)} ${answer.text.slice(0, 200)}`)
}
