import { generateSync, type JsonSchema } from 'json-schema-faker'
import type { EventTypes } from './event-types.ts'
import type { SchemaCompiler, Validate } from './schema-compiler.ts'
import { createTimeLimit } from './time-limit.ts'

/** A try. All of them together hold up other requests for half a second at most. */
const GENERATE_MS_MAX = 100
/** The same first, so that an example stays the same; others where chance has not met every rule. */
const SEEDS = [1, 2, 3]

/** Data for an event type; null where none was found that fits its schema. @throws EventTypeNotFound */
export type ExampleOf = (eventType: string) => Promise<{ data: unknown } | null>

export function createExampleOf(options: {
  eventTypes: Pick<EventTypes, 'get'>
  compiler: Pick<SchemaCompiler, 'compile'>
}): ExampleOf {
  const makeExample = createMakeExample()
  return async (eventType) => {
    const { schema } = await options.eventTypes.get(eventType)
    return schema === null ? { data: {} } : makeExample(schema, options.compiler.compile(schema))
  }
}

/** The schema's own first example or default that fits, otherwise a made up one. */
function createMakeExample() {
  const within = createTimeLimit()
  return (schema: unknown, validate: Validate): { data: unknown } | null => {
    const isValid = (data: unknown) => validate(data).length === 0
    for (const data of given(schema)) if (isValid(data)) return { data }
    for (const seed of SEEDS) {
      // First with everything that is optional, which shows the most.
      for (const alwaysFakeOptionals of [true, false]) {
        try {
          const options = { seed, alwaysFakeOptionals, useExamplesValue: true }
          const data = within(GENERATE_MS_MAX, () => generateSync(schema as JsonSchema, options))
          const fitting = [tidied(data), data].find((one) => one !== undefined && isValid(one))
          if (fitting !== undefined) return { data: fitting }
        } catch {
          // It throws for what it cannot make, or took too long. Another seed may go another way.
        }
      }
    }
    return null
  }
}

function given(schema: unknown): unknown[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { examples, default: fallback } = schema as { examples?: unknown; default?: unknown }
  return [
    ...(Array.isArray(examples) ? examples : []),
    ...(fallback === undefined ? [] : [fallback]),
  ]
}

/** Amounts as people know them: `994.53`, and not `-994.528557639569`. */
function tidied(data: unknown): unknown {
  if (typeof data === 'number') return Math.abs(Math.round(data * 100) / 100)
  if (Array.isArray(data)) return data.map(tidied)
  if (typeof data !== 'object' || data === null) return data
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, tidied(value)]))
}
