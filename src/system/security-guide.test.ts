/** docs/explanation/security-model.md names tests, attacks and bounds: each has to be there, and to be what it says. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ATTACKS } from '../../scripts/hostile/hostile.ts'
import { describeVariables, STRONG_ADMIN_KEY_LENGTH } from '../config/config.ts'
import { FILTER_LENGTH_MAX } from '../endpoints/filter.ts'
import { SCHEMA_BYTES_MAX } from '../event-types/schema-rules.ts'
import { RESPONSE_BODY_BYTES_MAX } from '../sending/response-body.ts'
import { createBodyBounds } from '../service/body-bounds.ts'

const root = join(import.meta.dirname, '..', '..')
const guide = readFileSync(join(root, 'docs/explanation/security-model.md'), 'utf8')
const rows = guide
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.slice(2, -2).split(' | '))

t.test('every test that is named is there', async (t) => {
  const named = rows
    .filter((row) => row.length === 4)
    .flatMap((row) => (row[3] ?? '').match(/`[^`]+`/g) ?? [])
  t.ok(named.length > 40)
  for (const name of new Set(named))
    t.ok(existsSync(join(root, 'src', `${name.slice(1, -1)}.test.ts`)), name)
})

t.test('every attack is named, and no other', async (t) => {
  const [, ...cells] = rows.filter((row) => row.length === 4).map((row) => row[3] ?? '')
  const named = cells.flatMap((cell) => [...cell.matchAll(/\*([^*]+)\*/g)].map(([, name]) => name))
  t.strictSame([...new Set(named)].sort(), ATTACKS.map(({ name }) => name).sort())
})

t.test('every bound that is a setting has its default', async (t) => {
  const defaults = new Map(
    describeVariables().map((one): [string, string] => [one.name, one.default]),
  )
  const bounds = rows
    .filter((row) => row.length === 3)
    .map((row) => row[1] ?? '')
    .join('\n')
  const given = [...bounds.matchAll(/`([A-Z_]+)` \((\d[\d,]*)/g)].filter(
    ([, name]) => name !== 'EVENT_BYTES_MAX',
  )
  t.ok(given.length >= 7)
  for (const [, name = '', value = ''] of given) {
    t.equal(value.replaceAll(',', ''), String(defaults.get(name)), name)
  }
})

t.test('the bounds of bodies and texts are those of the program', async (t) => {
  const eventBytesMax = 262_144
  const bytesMaxOf = createBodyBounds({ eventBytesMax })
  const KIB = 1_024
  for (const [path, bytes, words] of [
    ['/api/keys', 128 * KIB, 'body, unless it says otherwise below | 128 KiB'],
    ['/api/events', eventBytesMax + 4 * KIB, '`EVENT_BYTES_MAX` (256 KiB) + 4 KiB'],
    ['/api/events/batch', 8_192 * KIB, 'of a batch | 8 MiB'],
    ['/api/tenants/a/endpoints/match', eventBytesMax + 128 * KIB, '`EVENT_BYTES_MAX` + 128 KiB'],
    ['/console/keys', 512 * KIB, '512 KiB, 1,000 fields'],
    ['/console/sign-in', 16 * KIB, 'signing in: 16 KiB'],
  ] as const) {
    t.equal(bytesMaxOf({ method: 'POST', path }), bytes, path)
    t.ok(guide.includes(words), words)
  }
  for (const [value, words] of [
    [STRONG_ADMIN_KEY_LENGTH === 32, '32 characters with `NODE_ENV=production`'],
    [RESPONSE_BODY_BYTES_MAX === 16 * KIB, 'of the body 16 KiB are kept'],
    [FILTER_LENGTH_MAX === 1_000, 'a filter | 1,000 characters'],
    [SCHEMA_BYTES_MAX === 64 * KIB, 'a schema of 64 KiB'],
  ] as const) {
    t.ok(value && guide.includes(words), words)
  }
})
