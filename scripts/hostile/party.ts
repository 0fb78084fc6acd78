import { setTimeout as pause } from 'node:timers/promises'
import { type Answer, type Call, type Client, needed } from './client.ts'

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g
/** Nothing listens there; the endpoint is paused, so nothing is sent either. */
const NOWHERE = 'https://example.com/'
const LONG_AGO = '2026-01-01T00:00:00Z'

/** A tenant that was made to be attacked, or to attack. */
export interface Party {
  /** Of the tenant; stands in everything it owns as well. */
  name: string
  /** API key with every scope, for this tenant only. */
  key: string
  /** Of everything it owns. */
  ids: string[]
  endpoint: string
  event: string
  delivery: string
  /** Of its endpoint that fails; null where no runner has tried that in time. */
  incident: string | null
  /** What nobody else may ever be shown. */
  secrets: string[]
  /** As this party. */
  send(method: string, path: string, call?: Call): Promise<Answer>
  /** Everything that it owns, as text; changes when anything of it does. */
  snapshot(): Promise<string>
  /** The path below its tenant. */
  path(rest?: string): string
}

export interface Making {
  client: Client
  /** The same service, also when the attacks are over: for making and taking away. */
  keeper: Client
  adminKey: string
  cleanup: AsyncDisposableStack
}

/** Makes a tenant with something of everything, through the API itself. */
export async function makeParty(making: Making, name: string): Promise<Party> {
  const { client, keeper, adminKey, cleanup } = making
  const path = (rest = '') => `/api/tenants/${name}${rest}`
  const asAdmin: Party['send'] = (method, at, call) =>
    keeper.send(method, at, { key: adminKey, ...call })
  const make = async (method: string, at: string, body?: unknown) =>
    needed(await asAdmin(method, at, { body }), `${method} ${at}`)

  cleanup.defer(() => asAdmin('DELETE', path()).then(ignore))
  const tenant = await make('PUT', path(), { name })
  const { key, id: keyId } = await makeKey(making, { ...{ name, tenant: name }, scopes: ALL })
  const incident = await makeIncident(asAdmin, name)
  const note = `note-on-${name}`
  if (incident) await make('POST', path(`/incidents/${incident}/note`), { note })
  const endpoint = await make('POST', path('/endpoints'), endpointOf(name))
  await make('POST', path(`/endpoints/${endpoint.id}/pause`))
  const event = await make('POST', '/api/events', eventOf(name))
  const replay = await make('POST', path('/replays'), { since: LONG_AGO })
  // Otherwise it goes on by itself, and nobody could tell who has changed it.
  await asAdmin('POST', path(`/replays/${replay.id}/cancel`))
  const bulk = await make('POST', path('/deliveries/bulk'), { action: 'redeliver' })
  await asAdmin('POST', path(`/replays/${bulk.id}/cancel`))
  const snapshot = async () => {
    const found = await Promise.all(SHOWN.map((rest) => asAdmin('GET', path(rest))))
    return found.map(({ text }) => text).join('\n')
  }
  const shown = await snapshot()
  const ids = [tenant.id, keyId, event.id, replay.id, bulk.id, ...(shown.match(UUID) ?? [])]
  const { secret } = endpoint
  return {
    ...{ name, key, path, snapshot, endpoint: endpoint.id, event: event.id },
    ids: [...new Set<string>(ids)],
    incident,
    delivery: idOfDelivery(needed(await asAdmin('GET', path('/deliveries')), 'deliveries')),
    secrets: [secret, `value-of-${name}`, note],
    send: (method, at, call) => client.send(method, at, { key, ...call }),
  }
}

/** What there is of a tenant to be read. */
const SHOWN = ['', '/endpoints', '/events', '/deliveries', '/replays', '/incidents']

/** Its name leads nowhere (RFC 6761); three events that fail are an incident. */
const failing = { url: 'https://hostile.invalid/', timeoutSeconds: 1, retrySchedule: [] }
const FAILURES = 3
const INCIDENT_TRIES_MAX = 40

/** What fails, and is paused afterwards; null where no runner has tried it in time. */
async function makeIncident(send: Party['send'], tenant: string): Promise<string | null> {
  const path = `/api/tenants/${tenant}`
  const type = `${tenant}.fails`
  const made = await send('POST', `${path}/endpoints`, { body: { ...failing, eventTypes: [type] } })
  const { id } = needed(made, 'an endpoint that fails')
  const { status } = await send('POST', `${path}/endpoints/${id}/test`)
  for (let n = 0; n < FAILURES; n += 1) {
    await send('POST', '/api/events', { body: { tenant, type, data: {} } })
  }
  let found: string | undefined
  for (let tries = 0; status === 200 && !found && tries < INCIDENT_TRIES_MAX; tries += 1) {
    await pause(250)
    found = needed(await send('GET', `${path}/incidents`), 'incidents').data[0]?.id
  }
  await send('POST', `${path}/endpoints/${id}/pause`)
  return found ?? null
}

const ALL = ['publish', 'read', 'manage', 'admin']

const endpointOf = (name: string) => ({
  // As markup too, which must never be that of a page.
  ...{ url: NOWHERE + name, description: `<${name}>"'`, metadata: { name: `<${name}>` } },
  headers: { 'x-note': `value-of-${name}` },
})

const eventOf = (name: string) => ({
  ...{ tenant: name, type: `${name}.made`, data: { note: `<${name}>` } },
})

function idOfDelivery({ data: [delivery] }: { data: { id: string }[] }): string {
  if (!delivery) throw new Error('an event that was published made no delivery')
  return delivery.id
}

/** An API key, for a time; taken away at the end. */
export async function makeKey(
  { keeper, adminKey: key, cleanup }: Making,
  body: { name: string; scopes: string[]; tenant: string },
): Promise<{ id: string; key: string }> {
  const made = needed(await keeper.send('POST', '/api/keys', { key, body }), 'POST /api/keys')
  cleanup.defer(() => keeper.send('DELETE', `/api/keys/${made.id}`, { key }).then(ignore))
  return made
}

/** What cannot be taken away any more is gone already. */
const ignore = (): void => undefined
