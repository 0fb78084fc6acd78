import type { EndpointId, TenantId } from '../ids.ts'
import { CAUSES, lastResponseOf } from './incident.fields.ts'
import { HELD_COUNTED_MAX, type Incidents } from './incidents.ts'

/** An endpoint fails in one way or two. */
const SHOWN_MAX = 3

const countOf = (count: number): string => `${count}${count >= HELD_COUNTED_MAX ? ' or more' : ''}`

/** Makes the step that says what is wrong with an endpoint now, in a sentence an incident. */
export function createTroubleOf({ incidents }: { incidents: Pick<Incidents, 'list'> }) {
  return async (tenantId: TenantId, endpointId: EndpointId) => {
    const page = { state: 'open', endpointId, limit: SHOWN_MAX, before: null } as const
    const open = await incidents.list(tenantId, page)
    return open.map((incident) => ({
      incidentId: String(incident.id),
      since: incident.first_seen_at,
      what: CAUSES[incident.cause].meaning,
      failures: incident.failures,
      held: countOf(incident.held),
      waiting: countOf(incident.waiting),
      incident,
      lastResponse: lastResponseOf(incident),
    }))
  }
}
