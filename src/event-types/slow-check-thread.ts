/** Run in a thread by `slow-checks.ts`: checks data against schemas, each check within its time. */
import { parentPort } from 'node:worker_threads'
import { LRUCache } from 'lru-cache'
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
const compiled = new LRUCache<string, Validate>({ max: COMPILED_MAX })

function validatorOf(schema: string): Validate {
  const validate = compiled.get(schema) ?? compiler.compile(JSON.parse(schema))
  compiled.set(schema, validate)
  return validate
}

parentPort?.on('message', ({ id, schema, data }: SlowCheck) => {
  const before = process.threadCpuUsage()
  const violations = validatorOf(schema)(data)
  const { user, system } = process.threadCpuUsage(before)
  parentPort?.postMessage({ id, violations, ms: (user + system) / 1_000 })
})
