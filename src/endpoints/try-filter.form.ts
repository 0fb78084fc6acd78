import type { FormState } from '../console/fields.tsx'
import { refusedForm } from '../console/forms.ts'
import type { Events } from '../events/events.ts'
import { REASONS, type Routing } from '../events/routing.ts'
import type { TenantId } from '../ids.ts'
import { eventTypesOf } from './endpoint.form.ts'
import { FilterInvalid } from './filter.ts'
import type { Tried } from './tried-table.tsx'

/** Enough to see whether a filter does what was meant. */
const TRIED_MAX = 20

interface TryFilterOptions {
  events: Pick<Events, 'latest'>
  routing: Pick<Routing, 'match'>
}

/**
 * Makes the step that asks types and filter of a form about the last events of the tenant, without saving
 * anything; a filter that cannot be read comes back as a mistake of the form.
 */
export function createTryFilter({ events, routing }: TryFilterOptions) {
  return async (
    tenantId: TenantId,
    values: Record<string, string>,
  ): Promise<{ form: FormState; tried?: Tried[] }> => {
    const eventTypes = eventTypesOf(values['eventTypes'] ?? '')
    const filter = (values['filter'] ?? '').trim() || null
    const withData = filter !== null
    const latest = await events.latest(tenantId, { limit: TRIED_MAX, withData })
    try {
      const tried = await Promise.all(
        latest.map((event) => tryOne(routing, { eventTypes, filter }, event)),
      )
      return { form: { values, mistakes: {} }, tried }
    } catch (error) {
      if (!(error instanceof FilterInvalid)) throw error
      return { form: refusedForm(values, error) }
    }
  }
}

async function tryOne(
  routing: TryFilterOptions['routing'],
  { eventTypes, filter }: { eventTypes: string[]; filter: string | null },
  event: Awaited<ReturnType<Events['latest']>>[number],
): Promise<Tried> {
  const { id, type, data, created_at: createdAt } = event
  const match = await routing.match({ type, data: data ?? 'null', eventTypes, filter })
  const isErased = data === null && filter !== null
  const matches = match.patterns.length > 0 && match.passesFilter && !isErased
  const refusal = isErased ? REASONS.erased : REASONS.filter
  const why = matches ? '' : match.patterns.length === 0 ? REASONS.type : refusal
  return { id, type, createdAt, matches, why }
}
