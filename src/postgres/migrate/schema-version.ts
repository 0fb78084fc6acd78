import type { SchemaRecord } from './schema-record.ts'
import type { SqlFiles } from './sql-files.ts'

/** The database was never migrated. */
export class SchemaMissing extends Error {
  override readonly name = 'SchemaMissing'
  readonly code = 'schema_missing'
  constructor() {
    super('the database has no Postrider schema: run `postrider migrate`')
  }
}

/** The database lacks something of this program. */
export class SchemaOutdated extends Error {
  override readonly name = 'SchemaOutdated'
  readonly code = 'schema_outdated'
  readonly missing: readonly string[]
  constructor(missing: readonly string[]) {
    super(
      `the database is older than this program: run \`postrider migrate\` (missing: ${missing.join(', ')})`,
    )
    this.missing = missing
  }
}

/** A newer program has changed the database in a way that this one cannot work with. */
export class SchemaTooNew extends Error {
  override readonly name = 'SchemaTooNew'
  readonly code = 'schema_too_new'
  readonly unknown: readonly string[]
  constructor(unknown: readonly string[], options?: ErrorOptions) {
    const list = unknown.join(', ')
    super(
      `the database is newer than this program: use the newer program (breaking: ${list})`,
      options,
    )
    this.unknown = unknown
  }
}

/** Whether the schema is the reason, and not that the database could not be asked. */
export const isOfSchema = (error: unknown): boolean =>
  [SchemaMissing, SchemaOutdated, SchemaTooNew].some((type) => error instanceof type)

/** Migrations of a newer program. */
export function unknownMigrations(record: SchemaRecord, files: SqlFiles) {
  const known = new Set(files.migrations.map(({ name }) => name))
  return record.migrations.filter(({ name }) => !known.has(name))
}

/** @throws SchemaTooNew when one of the unknown migrations is breaking; others leave us able to run */
export function refuseTooNew(record: SchemaRecord, files: SqlFiles): void {
  const breaking = unknownMigrations(record, files).filter((migration) => migration.breaking)
  if (breaking.length > 0) throw new SchemaTooNew(breaking.map(({ name }) => name))
}
