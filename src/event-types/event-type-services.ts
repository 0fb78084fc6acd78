import type { Kysely } from 'kysely'
import type { Database } from '../postgres/schema.ts'
import { createEventTypeCheck } from './event-type-check.ts'
import { createEventTypes } from './event-types.ts'
import { createExampleOf } from './example.ts'
import { createSchemaCompiler } from './schema-compiler.ts'

/** Everything about event types, on one compiler. They are no tenant's, so the database is that of all. */
export function createEventTypeServices(options: {
  database: Kysely<Database>
  /** Whether types that are not described are refused. */
  isStrict: boolean
}) {
  const schemaCompiler = createSchemaCompiler()
  const eventTypeCheck = createEventTypeCheck({ ...options, compiler: schemaCompiler })
  const eventTypes = createEventTypes({
    database: options.database,
    checkSchema: (schema) => schemaCompiler.check(schema),
    onChanged: eventTypeCheck.invalidate,
  })
  return {
    schemaCompiler,
    eventTypes,
    eventTypeCheck,
    exampleOf: createExampleOf({ eventTypes, compiler: schemaCompiler }),
  }
}
