import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { auditName, type Caller } from '../access/caller.ts'
import { inputsOf } from '../fields.ts'
import type { ApiEnv } from '../http/authenticate.ts'
import { pageQuery, pageSchema, readPage } from '../http/pages.ts'
import { json, jsonBody, OF_BODY, problems } from '../http/responses.ts'
import { addingRoutes, ofOperators, ofOperatorsAbout, ofTenant, routesFor } from '../http/route.ts'
import { idOfPath } from '../http/validation.ts'
import { type IncidentId, incidentId } from '../ids.ts'
import { Problem } from '../problem.ts'
import { listedFor } from '../tenants/listed-tenants.ts'
import type { Tenants } from '../tenants/tenants.ts'
import {
  incidentFilterInputs,
  incidentSchema,
  incidentWithMessageSchema,
  noteFields,
  notifyFields,
  presentIncident,
} from './incident.fields.ts'
import { IncidentNotFound, type Incidents } from './incidents.ts'

const tags = ['Incidents']
const listQuery = pageQuery(incidentId).extend(incidentFilterInputs)
const noteInput = z.strictObject(inputsOf(noteFields)).openapi('IncidentNote')
const notifyInput = z.strictObject(inputsOf(notifyFields)).openapi('NotifyCustomer')

interface Options {
  incidents: Incidents
  /** Of every tenant. */
  allIncidents: Pick<Incidents, 'list'>
  tenants: Pick<Tenants, 'reservedIds'>
}

const incidentOf = idOfPath(incidentId, IncidentNotFound)
const route = routesFor<Options>()
const ALL = '/api/tenants/{tenant}/incidents'
const ONE = `${ALL}/{id}` as const
const params = z.object({ tenant: z.string(), id: z.string() })
const common = { method: 'post', tags, guards: ofTenant('manage') } as const
const OPERATORS_ONLY = 'Not for keys of one tenant (403).'
/** What operators say of an incident, and to whom: a tenant must not overwrite it, nor write to them in its place. */
const byOperators = { ...common, guards: ofOperatorsAbout('manage') } as const

const listAll = route({
  method: 'get',
  path: '/api/incidents',
  operationId: 'listAllIncidents',
  summary: 'List all incidents',
  description: 'Of all tenants, newest first.',
  tags,
  request: { query: listQuery },
  responses: { 200: json(pageSchema(incidentSchema), 'A page.'), ...problems(422) },
  guards: ofOperators('read'),
  isHeavy: true,
  async answer(c, { allIncidents, tenants }) {
    const { limit, cursor, ...filter } = c.req.valid('query')
    const listed = await listedFor(c.get('caller'), tenants)
    const read = (page: { limit: number; before: IncidentId | null }) =>
      allIncidents.list(listed, { ...filter, ...page })
    const present = (incident: Parameters<typeof presentIncident>[0]) =>
      presentIncident(incident, c.get('caller'))
    return c.json(await readPage({ limit, cursor }, read, present), 200)
  },
})

const list = route({
  method: 'get',
  path: ALL,
  summary: 'List incidents',
  description:
    'Newest first. Only keys that are bound to no tenant can filter by `verdict` (otherwise 403).',
  tags,
  request: { params: z.object({ tenant: z.string() }), query: listQuery },
  responses: { 200: json(pageSchema(incidentSchema), 'A page.'), ...problems(404, 422) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { incidents }) {
    const { limit, cursor, ...filter } = c.req.valid('query')
    if (filter.verdict !== undefined) refuseOneTenant(c.get('caller'))
    const read = (page: { limit: number; before: IncidentId | null }) =>
      incidents.list(c.get('tenant').id, { ...filter, ...page })
    const present = (incident: Parameters<typeof presentIncident>[0]) =>
      presentIncident(incident, c.get('caller'))
    return c.json(await readPage({ limit, cursor }, read, present), 200)
  },
})

const get = route({
  method: 'get',
  path: ONE,
  summary: 'Get incident',
  description: 'With a message for the customer.',
  tags,
  request: { params },
  responses: { 200: json(incidentWithMessageSchema, 'The incident.'), ...problems(404) },
  guards: ofTenant('read'),
  isHeavy: true,
  async answer(c, { incidents }) {
    const [tenantId, id] = [c.get('tenant').id, incidentOf(c.req.valid('param'))]
    const caller = c.get('caller')
    const incident = presentIncident(await incidents.get(tenantId, id), caller)
    const message = caller.tenant === null ? await incidents.messageOf(tenantId, id) : null
    return c.json({ ...incident, message }, 200)
  },
})

const acknowledge = route({
  ...byOperators,
  path: `${ONE}/acknowledge`,
  summary: 'Acknowledge incident',
  description: `Tells colleagues that you are working on it. ${OPERATORS_ONLY}`,
  request: { params },
  responses: { 200: json(incidentSchema, 'It is acknowledged.'), ...problems(404) },
  async answer(c, { incidents }) {
    const done = operateOn(c, incidents, c.req.valid('param'), 'acknowledge')
    return c.json(await done, 200)
  },
})

const note = route({
  ...byOperators,
  path: `${ONE}/note`,
  summary: 'Add note',
  description: `Writes a note for colleagues. Replaces the previous one. ${OPERATORS_ONLY}`,
  request: { params, body: { required: true, ...jsonBody(noteInput) } },
  responses: { 200: json(incidentSchema, 'The note is saved.'), ...problems(404, ...OF_BODY) },
  async answer(c, { incidents }) {
    const [tenantId, id] = [c.get('tenant').id, incidentOf(c.req.valid('param'))]
    await incidents.note(tenantId, id, auditName(c.get('caller')), c.req.valid('json').note)
    return c.json(presentIncident(await incidents.get(tenantId, id), c.get('caller')), 200)
  },
})

const probe = route({
  ...common,
  path: `${ONE}/probe`,
  summary: 'Probe endpoint',
  description: 'Tries one delivery now.',
  request: { params },
  responses: { 202: json(incidentSchema, 'An attempt is due now.'), ...problems(404, 409) },
  async answer(c, { incidents }) {
    return c.json(await operateOn(c, incidents, c.req.valid('param'), 'probe'), 202)
  },
})

const release = route({
  ...common,
  path: `${ONE}/release`,
  summary: 'Release deliveries',
  description: 'Closes the circuit of the endpoint and sends what is on hold, 100 a second.',
  request: { params },
  responses: {
    202: json(incidentSchema, 'What was on hold is being sent.'),
    ...problems(404, 409),
  },
  async answer(c, { incidents }) {
    return c.json(await operateOn(c, incidents, c.req.valid('param'), 'release'), 202)
  },
})

const pause = route({
  ...common,
  path: `${ONE}/pause`,
  summary: 'Pause endpoint of incident',
  description: 'Its deliveries are on hold until you resume it.',
  request: { params },
  responses: { 200: json(incidentSchema, 'The endpoint is paused.'), ...problems(404, 409) },
  async answer(c, { incidents }) {
    return c.json(await operateOn(c, incidents, c.req.valid('param'), 'pause'), 200)
  },
})

const notify = route({
  ...byOperators,
  path: `${ONE}/notify`,
  summary: 'Notify customer',
  description: `Publishes the operational event \`incident.reported\`, and \`postrider.incident\` to the endpoints of the tenant that subscribe to this type by name. ${OPERATORS_ONLY}`,
  request: { params, body: jsonBody(notifyInput) },
  responses: {
    202: json(incidentSchema, 'The events are published.'),
    ...problems(404, ...OF_BODY),
  },
  async answer(c, { incidents }) {
    const [tenantId, id] = [c.get('tenant').id, incidentOf(c.req.valid('param'))]
    const { message = null } = c.req.valid('json')
    await incidents.notify(tenantId, id, auditName(c.get('caller')), message)
    return c.json(presentIncident(await incidents.get(tenantId, id), c.get('caller')), 202)
  },
})

export const addIncidentRoutes = addingRoutes([
  ...[listAll, list, get, acknowledge, note, probe, release, pause, notify],
])

async function operateOn(
  c: Context<ApiEnv>,
  incidents: Incidents,
  param: { id: string },
  verb: 'acknowledge' | 'probe' | 'release' | 'pause',
) {
  const [tenantId, id] = [c.get('tenant').id, incidentOf(param)]
  await incidents[verb](tenantId, id, auditName(c.get('caller')))
  return presentIncident(await incidents.get(tenantId, id), c.get('caller'))
}

/** A filter by what is not shown would tell it anyway. */
function refuseOneTenant({ tenant }: Caller): void {
  if (!tenant) return
  throw new Problem('key_of_one_tenant', {
    detail: 'The filter verdict requires a key that is not bound to a tenant.',
  })
}
