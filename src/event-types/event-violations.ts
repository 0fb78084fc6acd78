import { Problem } from '../problem.ts'
import type { CheckedEvent, EventTypeCheck } from './event-type-check.ts'

/**
 * Refuses events that do not fit their types, naming every mistake.
 *
 * @param prefixOf what stands before the fields of an event, such as `events[3].`
 * @throws Problem
 */
export async function refuseUnfit(
  { check }: Pick<EventTypeCheck, 'check'>,
  events: readonly CheckedEvent[],
  prefixOf: (index: number) => string,
): Promise<void> {
  const violations = await check(events)
  const [first] = violations
  if (!first) return
  const errors = violations.map(({ index, field, message }) => ({
    field: prefixOf(index) + field,
    message,
  }))
  throw new Problem(first.code, { errors })
}
