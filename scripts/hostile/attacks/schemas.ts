import { type Attack, type Finding, finding } from '../attack.ts'
import { type Answer, describe } from '../client.ts'
import type { Field } from '../field.ts'

/** While it is busy with a schema, the service still says that it lives. */
const LIVE_MS_MAX = 10_000
const EVIL = 'a'.repeat(60_000)

const nested = (levels: number): object =>
  levels === 0 ? {} : { properties: { a: nested(levels - 1) } }
const wide = (n: number): object => ({
  anyOf: Array.from({ length: n }, (_, at) => ({ required: [`a${at}`] })),
})

/** Schemas that fetch, never end, or grow, each with data that makes the most of it. */
const SCHEMAS: [what: string, schema: unknown, data: unknown][] = [
  ['that is fetched from elsewhere', { $ref: 'http://127.0.0.1:9/schema.json' }, {}],
  ['that is read from a file', { $ref: 'file:///etc/passwd' }, {}],
  ['of another kind that is fetched', { $schema: 'http://127.0.0.1:9/meta.json' }, {}],
  ['that refers to itself', { $ref: '#' }, {}],
  ['in a circle', { $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' }, {}],
  ['that doubles at each level', doubling(25), {}],
  ['with nested quantifiers', { type: 'string', pattern: '^(a+)+$' }, `${'a'.repeat(40)}!`],
  ['with alternatives that overlap', { type: 'string', pattern: '^(a|a|a)*b' }, `${'a'.repeat(40)}`],
  ['with a pattern of polynomial cost', { type: 'string', pattern: '(a*a*a*a*)*b$' }, EVIL],
  ['with a pattern for names', { patternProperties: { '^(a+)+$': {} } }, { [`${'a'.repeat(40)}!`]: 1 }],
  ['with a pattern that is none', { pattern: '(' }, 'a'],
  ['with items that are all unlike', { uniqueItems: true }, Array.from({ length: 4_000 }, (_, n) => ({ n }))],
  ['500 levels deep', nested(500), {}],
  ['with 3,000 alternatives', wide(3_000), {}],
  ['named like a prototype', { properties: JSON.parse('{"__proto__": {"type": "string"}}') }, {}],
  ['with code in a name', { properties: { '"];process.exit(1);//': { type: 'string' } } }, {}],
  ['with code in a default', { default: '"`; process.exit(1); //', const: '\u2028process.exit(1)' }, {}],
  ['that is a number', 7, {}],
  ['larger than a schema may be', { description: 'x'.repeat(100_000) }, {}],
] // biome-ignore format: a table

/** Each level refers to the next one twice. */
function doubling(levels: number): object {
  const $defs = Object.fromEntries(
    Array.from({ length: levels }, (_, n) => [
      `l${n}`,
      { allOf: [{ $ref: `#/$defs/l${n + 1}` }, { $ref: `#/$defs/l${n + 1}` }] },
    ]),
  )
  return { $defs: { ...$defs, [`l${levels}`]: { type: 'object' } }, $ref: '#/$defs/l0' }
}

export const schemas: Attack = {
  name: 'schemas',
  about:
    'schemas of event types that fetch, never end or run code, with events that make the most of them',
  async *run(field) {
    const { keeper, adminKey: key, cleanup } = field
    cleanup.defer(() => keeper.send('DELETE', pathOf(field), { key }).then(() => undefined))
    for (const [what, schema, data] of SCHEMAS) yield await trySchema(field, what, schema, data)
  },
}

const typeOf = ({ run }: Field): string => `hostile-${run}.schema`
const pathOf = (field: Field): string => `/api/event-types/${typeOf(field)}`

async function trySchema(field: Field, what: string, schema: unknown, data: unknown) {
  const { keeper, adminKey: key, attacker } = field
  const path = pathOf(field)
  const event = { tenant: attacker.name, type: typeOf(field), data }
  const busy = (async () => [
    await keeper.send('PUT', path, { key, body: { schema } }),
    await attacker.send('POST', '/api/events', { body: event }),
    await keeper.send('GET', `${path}/example`, { key }),
  ])()
  const finished = await liveWhile(field, busy)
  return verdictOf(what, await busy, finished)
}

/** The longest time in which the service did not say that it lives, in ms. */
async function liveWhile({ keeper }: Field, busy: Promise<unknown>): Promise<number> {
  let isOver = false
  const over = () => {
    isOver = true
  }
  busy.then(over, over)
  let longest = 0
  while (!isOver) {
    const startedAt = performance.now()
    const { status } = await keeper.send('GET', '/live')
    longest = Math.max(longest, status === 200 ? performance.now() - startedAt : Infinity)
  }
  return Math.round(longest)
}

function verdictOf(what: string, answers: Answer[], longestMs: number): Finding {
  const fine = answers.every(({ status }) => status > 0 && status < 500)
  const answer = `${answers.map(describe).join(', ')}; /live at most ${longestMs} ms`
  return finding(`a schema ${what}`, fine && longestMs <= LIVE_MS_MAX, answer)
}
