import type { EventType, EventTypes, EventTypeVersion } from './event-types.ts'
import type { ExampleOf } from './example.ts'

export interface DescribeOptions {
  eventTypes: Pick<EventTypes, 'get' | 'versions'>
  exampleOf: ExampleOf
}

/** What a receiver can know of an event type. */
export interface DescribedType {
  type: EventType
  /** A request body, as JSON; null where none was found that fits the schema. */
  example: string | null
  versions: EventTypeVersion[]
}

/** @throws EventTypeNotFound */
export async function describeType(
  { eventTypes, exampleOf }: DescribeOptions,
  name: string,
): Promise<DescribedType> {
  const type = await eventTypes.get(name)
  const [versions, made] = await Promise.all([
    eventTypes.versions(name),
    exampleOf(name).catch(() => null),
  ])
  const example = made && JSON.stringify({ type: name, timestamp: new Date(), data: made.data })
  return { type, example, versions }
}
