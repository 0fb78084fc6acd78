import type { Act } from '../audit-log/audit-log.ts'
import type { EventId, TenantId } from '../ids.ts'
import type { Events } from './events.ts'

/** The data of an event without its mask; null once it was erased. Nobody sees it without leaving a trace. @throws EventNotFound */
export type RevealEvent = (
  tenantId: TenantId,
  id: EventId,
  who: string,
  options?: { charactersMax?: number },
) => Promise<string | null>

export function createRevealEvent(options: {
  events: Pick<Events, 'unmaskedDataOf'>
  audit: (act: Act) => Promise<void>
}): RevealEvent {
  const { events, audit } = options
  return async (tenantId, id, who, options) => {
    const data = await events.unmaskedDataOf(tenantId, id, options)
    await audit({ who, action: 'reveal_event', targetKind: 'event', targetId: id, tenantId })
    return data
  }
}
