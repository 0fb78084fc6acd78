/** Run in a thread by `slow-checks.ts`: checks data against schemas, each check within its time. */
import { parentPort } from 'node:worker_threads'
import { createSchemaCompiler, type Validate } from './schema-compiler.ts'

export interface SlowCheck {
  id: number
  /** JSON, as stored. */
  schema: string
  data: unknown
}

/** Schemas that are slow are few. */
const COMPILED_MAX = 50

const compiler = createSchemaCompiler()
const compiled = new Map<string, Validate>()

function validatorOf(schema: string): Validate {
  const validate = compiled.get(schema) ?? compiler.compile(JSON.parse(schema))
  compiled.delete(schema)
  compiled.set(schema, validate)
  const [oldest] = compiled.keys()
  if (compiled.size > COMPILED_MAX && oldest !== undefined) compiled.delete(oldest)
  return validate
}

parentPort?.on('message', ({ id, schema, data }: SlowCheck) =>
  parentPort?.postMessage({ id, violations: validatorOf(schema)(data) }),
)
