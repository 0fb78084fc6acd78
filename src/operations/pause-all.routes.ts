import { z } from '@hono/zod-openapi'
import { auditName } from '../access/caller.ts'
import { json, problems } from '../http/responses.ts'
import { addingRoutes, ofOperators, routesFor } from '../http/route.ts'
import type { PauseAll, ServiceState } from './pause-all.ts'

const tags = ['Service']
const stateSchema = z
  .object({
    pausedAt: z.iso
      .datetime()
      .nullable()
      .openapi({ description: 'Since when nothing is sent; null = deliveries go out.' }),
    pausedBy: z.string().nullable().openapi({ description: 'Who paused, as in the audit log.' }),
  })
  .openapi('ServiceState')

interface Options {
  pauseAll: PauseAll
}

const route = routesFor<Options>()

const get = route({
  method: 'get',
  path: '/api/service',
  summary: 'Get service state',
  description: 'Whether all deliveries are paused.',
  tags,
  request: {},
  responses: { 200: json(stateSchema, 'As it is now.'), ...problems() },
  guards: ofOperators('read'),
  async answer(c, { pauseAll }) {
    return c.json(present(await pauseAll.state()), 200)
  },
})

const pause = route({
  method: 'post',
  path: '/api/service/pause',
  summary: 'Pause all deliveries',
  description:
    'Nothing is sent to any tenant until you resume. Requests in progress finish, events are still accepted, and ' +
    'deliveries that fall due are held.',
  tags,
  request: {},
  responses: { 200: json(stateSchema, 'All deliveries are paused.'), ...problems() },
  guards: ofOperators('admin'),
  async answer(c, { pauseAll }) {
    await pauseAll.pause(auditName(c.get('caller')))
    return c.json(present(await pauseAll.state()), 200)
  },
})

const resume = route({
  method: 'post',
  path: '/api/service/resume',
  summary: 'Resume all deliveries',
  description: 'Deliveries go out again. Held deliveries are released over time.',
  tags,
  request: {},
  responses: { 200: json(stateSchema, 'Deliveries go out.'), ...problems() },
  guards: ofOperators('admin'),
  async answer(c, { pauseAll }) {
    await pauseAll.resume(auditName(c.get('caller')))
    return c.json(present(await pauseAll.state()), 200)
  },
})

export const addPauseAllRoutes = addingRoutes([get, pause, resume])

const present = ({ pausedAt, pausedBy }: ServiceState) => ({
  pausedAt: pausedAt?.toISOString() ?? null,
  pausedBy,
})
