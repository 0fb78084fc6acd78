/**
 * Sends every operation requests that are made from its schemas, with parts that break programs: wrong types,
 * NUL, lone surrogates, deep nesting, huge numbers, over-long ids, negative limits, garbage cursors. No answer is
 * a fault of ours, each is as documented, and what is refused leaves nothing behind.
 *
 * More of them, or others: GENERATED_RUNS=1000 GENERATED_SEED=7 npx tap src/system/http/generated-input.test.ts
 */

import fc from 'fast-check'
import t from 'tap'
import { requestOf } from '../../testing/data/hostile.ts'
import { createStoredRows } from '../../testing/data/stored-rows.ts'
import { bodyIn, createWorld, pathIn } from '../../testing/data/world.ts'
import { isLong } from '../../testing/long.ts'
import { createTestApi } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import type { Document } from '../../testing/wiring/openapi-check.ts'

const RUNS = Number(process.env['GENERATED_RUNS'] ?? (isLong ? 25 : 3))
const SEED = Number(process.env['GENERATED_SEED'] ?? 5)

const { pool } = await createTestDatabase(t)
// Tests of endpoints are not waited for: there is no runner.
const { request, logged } = createTestApi(pool, { deliveryTimeoutSeconds: -3 })
const storedRows = createStoredRows(pool)
const document = (await request('GET', '/openapi.json')).json as Document

for (const [template, item] of Object.entries(document.paths)) {
  for (const [method, operation] of Object.entries(item)) {
    t.test(`${method.toUpperCase()} ${template}`, async (t) => {
      const world = await createWorld(pool)
      const pathFor = (change: Record<string, string>) => pathIn(world, template, change)
      const options = { path: pathFor({}), pathFor, body: bodyIn(world, operation) }
      const requests = requestOf(operation, options, document.components.schemas)
      const statuses = new Set<number>()
      let before = await storedRows()
      const property = fc.asyncProperty(requests, async ({ path, ...sent }) => {
        const { status, text } = await request(method.toUpperCase(), path, sent)
        statuses.add(status)
        if (status >= 500) throw new Error(`${status}: ${text} ${JSON.stringify(logged.at(-1))}`)
        const after = await storedRows()
        const changed = after.filter((digest) => !before.includes(digest))
        before = after
        if (status >= 400 && changed.length > 0) throw new Error(`something was stored: ${changed}`)
      })
      await fc.assert(property, {
        numRuns: RUNS,
        seed: SEED,
        endOnFailure: true,
        includeErrorInReport: true,
      })
      t.pass(`answered ${[...statuses].sort().join(', ')}`)
    })
  }
}
