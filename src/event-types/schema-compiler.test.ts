import t from 'tap'
import { createSchemaCompiler, SchemaInvalid } from './schema-compiler.ts'

const compiler = createSchemaCompiler()

const violationsOf = (schema: unknown, data: unknown) => {
  compiler.check(schema)
  return compiler
    .compile(schema)(data)
    .map(({ path, message }) => `${path}: ${message}`)
}
const mistakesIn = (schema: unknown): string[] => {
  try {
    compiler.check(schema)
    return []
  } catch (error) {
    t.ok(error instanceof SchemaInvalid)
    return (error as SchemaInvalid).violations.map(({ path, message }) => `${path}: ${message}`)
  }
}

t.test('names every violation with its path', async (t) => {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://example.com/invoice',
    type: 'object',
    required: ['id', 'lines'],
    properties: {
      id: { type: 'integer' },
      email: { type: 'string', format: 'email' },
      currency: { enum: ['EUR', 'USD'] },
      version: { const: 2 },
      lines: { type: 'array', items: { $ref: '#/$defs/line' }, minItems: 1 },
      pair: { prefixItems: [{ type: 'string' }, { type: 'number' }], items: false },
    },
    additionalProperties: false,
    $defs: {
      line: { type: 'object', required: ['price'], properties: { 'a/b~c': { minimum: 0 } } },
    },
  }
  t.strictSame(violationsOf(schema, { id: 1, lines: [{ price: 1 }] }), [])
  const data = {
    id: 'x',
    email: 'no',
    currency: 'CHF',
    version: 1,
    lines: [{ price: 1 }, {}, { price: 1, 'a/b~c': -1 }],
    pair: ['a', 'b', 'c'],
    other: 1,
  }
  t.strictSame(violationsOf(schema, data).sort(), [
    'currency: is none of ["EUR","USD"]',
    'email: must match format "email"',
    'id: must be integer',
    'lines[1].price: is required',
    'lines[2].a/b~c: must be >= 0',
    'other: is not known here',
    'pair: must NOT have more than 2 items',
    'pair[1]: must be number',
    'version: is not 2',
  ])
  t.strictSame(violationsOf(schema, 5), [': must be object'])
  t.strictSame(violationsOf(false, 5), [': boolean schema is false'])
  t.strictSame(violationsOf(true, 5), [])
  t.strictSame(violationsOf({ unevaluatedProperties: false }, { a: 1 }), ['a: is not known here'])
  t.equal(violationsOf({ items: { type: 'string' } }, Array(500).fill(1)).length, 100)
  t.match(violationsOf({ enum: [...Array(500).keys()] }, 'x'), [/^: is none of .{200}…$/])
})

t.test('two schemas of one name do not meet, and unknown words are ignored', async (t) => {
  const named = (type: string) => ({ $id: 'https://example.com/same', type, 'x-of-ours': 1 })
  t.strictSame(violationsOf(named('string'), 'x'), [])
  t.strictSame(violationsOf(named('number'), 'x'), [': must be number'])
  t.strictSame(violationsOf(named('string'), 'x'), [])
})

t.test('refuses what is no schema, or does not stand alone, or is too large', async (t) => {
  const cases: [unknown, RegExp][] = [
    [{ type: 'objekt' }, /^type: /],
    [{ properties: { a: { minimum: '1' } } }, /^properties\.a\.minimum: must be number/],
    [{ items: [{}] }, /^items: /],
    [{ pattern: '(' }, /Invalid regular expression/],
    [{ $ref: '#/$defs/missing' }, /^\$ref: refers to what is not there/],
    [{ $ref: '#missing' }, /can't resolve reference #missing/],
    [{ $ref: 'https://example.com/x' }, /^\$ref: refers to another document/],
    [{ allOf: [{ $ref: 'other.json#/a' }] }, /^allOf\[0\]\.\$ref: refers to another/],
    [{ $dynamicRef: 'other#a' }, /^\$dynamicRef: /],
    [
      { $schema: 'http://json-schema.org/draft-07/schema#' },
      /^\$schema: is not JSON Schema 2020-12/,
    ],
    [{ properties: { a: { $id: 'b' } } }, /^properties\.a\.\$id: is allowed at the top only/],
    [{ description: 'x'.repeat(65_536) }, /^: has more than 65536 bytes/],
    [JSON.parse(`${'{"not":'.repeat(66)}{}${'}'.repeat(66)}`), /nested deeper than 64 levels/],
  ]
  for (const [schema, mistake] of cases) {
    t.match(mistakesIn(schema), [mistake], String(mistake))
  }
  const large = { description: 'x'.repeat(65_536 - '{"description":""}'.length) }
  t.strictSame(mistakesIn(large), [], 'as large as allowed')
  const words = {
    const: { $ref: 'x' },
    enum: [{ $id: 'x' }],
    default: { $ref: 'x' },
    examples: [{ $ref: 'x' }],
  }
  t.strictSame(mistakesIn(words), [], 'data is not read as a schema')
  t.strictSame(mistakesIn({ properties: { $ref: { type: 'string' } } }), [], 'nor names of members')
})

t.test('what would take for ever is ended, and the next schema works', async (t) => {
  const backtracking = { type: 'string', pattern: '^(a+)+$' }
  t.match(violationsOf(backtracking, `${'a'.repeat(40)}!`), [/takes longer than 100 ms/])
  t.strictSame(violationsOf(backtracking, 'aaa'), [])
  const defs: Record<string, object> = { d30: { type: 'string' } }
  for (let n = 29; n >= 0; n--) {
    const next = { $ref: `#/$defs/d${n + 1}` }
    defs[`d${n}`] = { allOf: [next, next] }
  }
  t.match(violationsOf({ $ref: '#/$defs/d0', $defs: defs }, 1), [/takes longer than/])
  const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) })
  const doubling = { properties: { a: { $ref: '#' } }, patternProperties: { a: { $ref: '#' } } }
  t.match(violationsOf(doubling, nested(40)), [/takes longer than/])
  t.match(mistakesIn({ $ref: '#' }), [], 'a loop is a schema')
  t.match(violationsOf({ $ref: '#' }, 1), [/refers to itself without end/])
  t.strictSame(violationsOf({ type: 'string' }, 'x'), [])
})

// On a busy machine a correct schema was refused with "ajv implementation error": ajv knew it half compiled.
t.test('a schema that was held up half-way is compiled from the beginning', async (t) => {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  const schemaThat = (onRead: () => void) => {
    const get = (target: object, name: string) => {
      onRead()
      return Reflect.get(target, name)
    }
    return { properties: { a: new Proxy({ type: 'string' }, { get }) } }
  }
  let reads = 0
  compiler.compile(
    schemaThat(() => {
      reads += 1
    }),
  )
  const validate = compiler.compile(
    schemaThat(() => {
      reads -= 1
      if (reads === 0) Atomics.wait(cell, 0, 0)
    }),
  )
  t.match(validate({ a: 1 }), [{ path: 'a' }])
})

// Issue 14, 17: every object has a `constructor`, so that what requires one was content with nothing.
t.test('names that objects inherit are looked for among what was given', async (t) => {
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']) {
    const described = { type: 'object', properties: { [name]: { type: 'string' } } }
    t.strictSame(violationsOf(described, {}), [], name)
    t.strictSame(violationsOf(described, { [name]: 1 }), [`${name}: must be string`])
    t.strictSame(violationsOf({ required: [name] }, {}), [`${name}: is required`])
    t.strictSame(violationsOf({ required: [name] }, { [name]: 1 }), [])
    const closed = { additionalProperties: false, properties: { a: true } }
    t.strictSame(violationsOf(closed, { [name]: 1 }), [`${name}: is not known here`])
    const unevaluated = { anyOf: [{ required: ['b'] }, { properties: { a: true } }] }
    t.strictSame(violationsOf({ ...unevaluated, unevaluatedProperties: false }, { [name]: 1 }), [
      `${name}: is not known here`,
    ])
    t.strictSame(violationsOf({ dependentRequired: { [name]: ['a'] } }, {}), [])
    t.strictSame(violationsOf({ dependentSchemas: { [name]: false } }, {}), [])
    t.strictSame(
      violationsOf({ $ref: `#/$defs/${name}`, $defs: { [name]: { type: 'null' } } }, 1),
      [': must be null'],
    )
    t.equal(mistakesIn({ $ref: `#/$defs/${name}`, $defs: {} }).length, 1, 'no own definition')
  }
})

t.test('data may have a member __proto__, and a schema may require it', async (t) => {
  const data = JSON.parse('{"__proto__": 1}')
  t.strictSame(violationsOf({ required: ['__proto__'] }, {}), ['__proto__: is required'])
  t.strictSame(violationsOf({ required: ['__proto__'] }, data), [])
  t.strictSame(violationsOf({ additionalProperties: false }, data), [
    '__proto__: is not known here',
  ])
  t.strictSame(violationsOf({ const: data }, {}), [': is not {"__proto__":1}'])
  t.strictSame(violationsOf({ const: data }, data), [])
  t.strictSame(violationsOf({ patternProperties: { '^__proto': { type: 'string' } } }, data), [
    '__proto__: must be string',
  ])
})

t.test('a text that looks like compiled code is compared as it is', async (t) => {
  const text = 'let props0 = {}; "props1 = {}" \\" props2 = props2 || {}'
  t.strictSame(violationsOf({ const: text }, text), [])
  t.strictSame(violationsOf({ properties: { [text]: { enum: [text] } } }, { [text]: text }), [])
})

t.test('a schema that describes __proto__ is refused, as it would never be checked', async (t) => {
  const schema = JSON.parse('{"properties": {"a": {"properties": {"__proto__": {}}}}}')
  t.match(mistakesIn(schema), [/^properties\.a\.properties\.__proto__: /])
})
