import { json, problems } from '../http/responses.ts'
import { addingRoutes, ofOperators, routesFor } from '../http/route.ts'
import { listedBy } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { foundSchema, presentHit, searchQuery } from './search.fields.ts'
import type { Search } from './search.ts'

interface Options {
  search: Search
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
}

const route = routesFor<Options>()

const search = route({
  method: 'get',
  path: '/api/search',
  operationId: 'searchAll',
  summary: 'Search everything',
  description:
    'Finds tenants, endpoints, events, deliveries, incidents, replays and event types, at most 6 of each kind, and says ' +
    'what became of the events.',
  tags: ['Search'],
  request: { query: searchQuery },
  responses: { 200: json(foundSchema, 'What was found.'), ...problems(404, 422) },
  guards: ofOperators('read'),
  isHeavy: true,
  async answer(c, { search, tenants }) {
    const { q, tenant } = c.req.valid('query')
    const listed = await listedBy(c.get('caller'), tenants, tenant)
    const { hits, searchedBackTo } = await search.find(listed, q)
    const data = hits.map(presentHit)
    return c.json({ data, searchedBackTo: searchedBackTo?.toISOString() ?? null }, 200)
  },
})

export const addSearchRoute = addingRoutes([search])
