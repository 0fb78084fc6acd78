/**
 * The client of the HTTP API, for Node, browsers and everything that has `fetch`. Nothing of Node is imported.
 *
 * @example
 * import { Postrider } from 'postrider/client'
 * const postrider = new Postrider({ url: 'http://127.0.0.1:8080', apiKey })
 * await postrider.publish({ tenant: 'acme', type: 'invoice.paid', data: { id: 1 } })
 */
import type { BatchedEvent, NewEvent, Operations, Published } from './api.ts'
import { type FollowedAttempt, type FollowOptions, followAttempts } from './follow.ts'
import { isRepeatable } from './retry.ts'
import { createTransport, type Patience, type RequestParts, type Transport } from './transport.ts'

export type * from './api.ts'
// biome-ignore lint/performance/noBarrelFile: the entry point of the package
export { type FieldError, PostriderError } from './error.ts'
export type { FollowedAttempt, FollowOptions } from './follow.ts'
export type { Patience } from './transport.ts'

const TRIES = 4
/** Long for anything but the test of an endpoint, which waits for its receiver. */
const TIMEOUT_MS = 30_000

export interface PostriderOptions {
  /** Where the API is, such as `https://postrider.example.com`. */
  url: string
  apiKey: string
  /** How often a request is sent at most; 1 = never again. Default: 4. */
  tries?: number
  /** Time that each try has. Default: 30,000. */
  timeoutMs?: number
  /** Sends the requests; the one of the platform unless given. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>
}

export type OperationName = keyof Operations
export type Answer<Name extends OperationName> = Operations[Name]['answer']
export type RequestOptions<Name extends OperationName> = Omit<Operations[Name], 'answer'> & Patience
/** The options may be left out where nothing is required. */
type OptionsOf<Name extends OperationName> =
  Record<never, never> extends RequestOptions<Name>
    ? [options?: RequestOptions<Name>]
    : [options: RequestOptions<Name>]

/** Operations whose answer is a page. */
export type ListName = {
  [Name in OperationName]: Answer<Name> extends { nextCursor: string | null } ? Name : never
}[OperationName]
export type Item<Name extends ListName> =
  Answer<Name> extends { data: (infer Listed)[] } ? Listed : never

export class Postrider {
  readonly #transport: Transport

  constructor({ tries = TRIES, timeoutMs = TIMEOUT_MS, ...options }: PostriderOptions) {
    // Called as a function: that of a browser refuses to be a method of something else.
    const send = options.fetch ?? ((url: string, init: RequestInit) => fetch(url, init))
    this.#transport = createTransport({ ...options, tries, timeoutMs, fetch: send })
  }

  /**
   * Publishes an event; resolves once it is stored, with its deliveries.
   *
   * It is sent again when the answer got lost, and stored once anyway: without an idempotency key of
   * yours it gets a random one. Give yours where your program may call this twice for the same event.
   */
  publish(
    event: NewEvent,
    { idempotencyKey = randomKey(), ...patience }: { idempotencyKey?: string } & Patience = {},
  ): Promise<Published> {
    const headers = { 'Idempotency-Key': idempotencyKey }
    return this.request('POST /api/events', { headers, body: event, ...patience })
  }

  /** Publishes up to 1,000 events, all of them or none; results come in order. See `publish`. */
  async publishBatch(
    events: readonly BatchedEvent[],
    patience: Patience = {},
  ): Promise<Published[]> {
    const keyed = events.map((event) => ({
      ...event,
      idempotencyKey: event.idempotencyKey ?? randomKey(),
    }))
    const parts = { body: { events: keyed }, ...patience }
    const answer = await this.#transport.send('POST', '/api/events/batch', parts, true)
    return (answer as Answer<'POST /api/events/batch'>).data
  }

  /**
   * Sends any request of the API.
   *
   * @example await postrider.request('POST /api/tenants/{tenant}/endpoints', { path: { tenant: 'acme' }, body: { url } })
   * @throws PostriderError
   */
  async request<Name extends OperationName>(
    name: Name,
    ...[options]: OptionsOf<Name>
  ): Promise<Answer<Name>> {
    const [method = '', path = ''] = name.split(' ')
    const parts = (options ?? {}) as RequestParts
    const repeatable = isRepeatable(method, parts.headers)
    return (await this.#transport.send(method, path, parts, repeatable)) as Answer<Name>
  }

  /**
   * Every item of a list, page after page.
   *
   * @example for await (const event of postrider.list('GET /api/tenants/{tenant}/events', { path })) …
   */
  async *list<Name extends ListName>(
    name: Name,
    ...[options]: OptionsOf<Name>
  ): AsyncGenerator<Item<Name>, void, undefined> {
    const [method = '', path = ''] = name.split(' ')
    const parts = (options ?? {}) as RequestParts
    let cursor = parts.query?.['cursor']
    do {
      const query = { ...parts.query, cursor }
      const page = await this.#transport.send(method, path, { ...parts, query }, true)
      const { data, nextCursor } = page as { data: Item<Name>[]; nextCursor: string | null }
      yield* data
      cursor = nextCursor
    } while (cursor !== null)
  }

  /**
   * Attempts of a tenant as they end, until the signal. Each comes once; a connection that is lost is made again, and
   * what was missed meanwhile comes first.
   *
   * @example for await (const { attempt, event } of postrider.follow({ tenant: 'acme', signal })) …
   * @throws PostriderError when it is refused, or cannot be opened at first
   */
  follow(options: FollowOptions): AsyncGenerator<FollowedAttempt, void, undefined> {
    return followAttempts(this.#transport, options)
  }
}

/** 128 random bits; `randomUUID` is missing where a page is not served over https. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
