import type { EventTypes } from '../event-types/event-types.ts'
import type { ExampleOf } from '../event-types/example.ts'
import { SvixError } from './svix-error.ts'

/** What Svix sends to try an endpoint, without a description of it. */
const PING = { type: 'svix.ping', data: { success: true } }

interface Options {
  eventTypes: Pick<EventTypes, 'get'>
  exampleOf: ExampleOf
}

/** @throws EventTypeNotFound, SvixError where the type has no example */
export async function svixExampleOf(
  { type, index }: { type: string; index: number },
  { eventTypes, exampleOf }: Options,
): Promise<unknown> {
  if (type === PING.type) return PING.data
  const { schema, svix_schemas: schemas } = await eventTypes.get(type)
  const given = schemas === null ? undefined : exampleOfNewest(JSON.parse(schemas), index)
  if (given !== undefined) return given
  const example = schema === null ? null : await exampleOf(type)
  if (example) return example.data
  throw new SvixError(
    400,
    'invalid_scheme',
    'The event type has no example: add examples to its schema.',
  )
}

/** Of the highest version. */
function exampleOfNewest(schemas: Record<string, unknown>, index: number): unknown {
  const [newest] = Object.keys(schemas).sort((a, b) => Number(b) - Number(a))
  const schema = newest === undefined ? null : schemas[newest]
  if (typeof schema !== 'object' || schema === null) return undefined
  const { example, examples } = schema as { example?: unknown; examples?: unknown }
  return Array.isArray(examples) && examples.length > 0 ? examples[index] : example
}
