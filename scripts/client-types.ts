/**
 * Writes src/client/api.ts, the types of the client, from the OpenAPI document. A test holds them equal.
 *
 * A generator of our own, as openapi-typescript and its like run inside TypeScript's old compiler API, which
 * TypeScript 7 does not have.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { createTestApi } from '../src/testing/wiring/api.ts'
import type { Document, Operation, Parameter, Schema } from '../src/testing/wiring/openapi-check.ts'

export const API_FILE = join(import.meta.dirname, '..', 'src', 'client', 'api.ts')

/** No query is made for it. */
export async function readDocument(): Promise<Document> {
  const { app } = createTestApi(new pg.Pool())
  return (await app.request('/openapi.json')).json() as Promise<Document>
}

export function renderTypes(document: Document): string {
  const { components, paths } = withNames(document)
  const all = Object.entries(components.schemas)
  const schemas = all.map(([name, schema]) => {
    const type = typeOfChange(schema, all) ?? typeOf(schema)
    return `${comment(schema)}export type ${name} = ${type}\n`
  })
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(
      ([method, operation]) =>
        `${comment({ description: operation.summary })}'${method.toUpperCase()} ${path}': ${typeOfOperation(operation)}`,
    ),
  )
  return `// Made from the OpenAPI document: node scripts/client-types.ts

${schemas.join('\n')}${helpersOf([...schemas, ...operations])}
/** What each operation takes and answers, by method and path. */
export interface Operations {
${operations.join('\n')}
}
`
}

/** So many words or members are written once. */
const LONG = 5

const HELPERS = [
  {
    uses: /= Change</,
    type: `
/** Any of its members. */
export type Change<Thing> = { [Member in keyof Thing]?: Thing[Member] | undefined }
`,
  },
  {
    uses: /: Paging\b/,
    type: `
export type Paging = {
  /** How many at most. */
  limit?: number | undefined
  /** \`nextCursor\` of the page before. */
  cursor?: string | undefined
}
`,
  },
]

const helpersOf = (texts: string[]): string =>
  HELPERS.filter(({ uses }) => texts.some((text) => uses.test(text)))
    .map(({ type }) => type)
    .join('')

/** A long type that is a member of a named schema is named after it wherever else it stands: `Attempt['outcome']`. */
function withNames({ components, paths }: Document): Document {
  const members = Object.entries(components.schemas).flatMap(([type, { properties, required }]) =>
    (required ?? []).map((member: string) => [
      longTypeOf(properties?.[member]),
      `${type}['${member}']`,
    ]),
  )
  const names = new Map<string | undefined, string>(members.filter(([type]) => type).toReversed())
  const named = <T>(value: T, own?: string): T =>
    JSON.parse(JSON.stringify(value), (_, inner) => {
      const name = names.get(longTypeOf(inner))
      return name && name !== own ? { description: inner.description, name } : inner
    })
  const schemas = mapValues(components.schemas, (schema, type) => {
    const { properties, ...rest } = schema
    if (!properties) return named(schema)
    const nameOf = (member: string) => `${type}['${member}']`
    return {
      ...rest,
      properties: mapValues(properties, (one, member) => named(one, nameOf(member))),
    }
  })
  return { paths: named(paths), components: { schemas } }
}

const mapValues = <T>(of: Record<string, T>, change: (value: T, key: string) => T) =>
  Object.fromEntries(Object.entries(of).map(([key, value]) => [key, change(value, key)]))

function longTypeOf(schema: Schema | undefined): string | undefined {
  const { enum: words, properties } = Object(schema)
  const parts = Array.isArray(words) ? words : Object.keys(Object(properties))
  return schema && parts.length >= LONG ? typeOf(schema) : undefined
}

/** Of a schema that has members of another, none of which is required; two such are no types of each other. */
function typeOfChange(schema: Schema, all: [string, Schema][]): string | undefined {
  const membersOf = ({ properties }: Schema) =>
    Object.entries<Schema>(properties ?? {}).map(([name, of]) => memberOf(name, of))
  const members = membersOf(schema)
  if (schema['required'] || members.length < LONG) return undefined
  const whole = all.find(([, other]) => {
    const others = other['required'] ? membersOf(other) : []
    return members.every((member) => others.includes(member))
  })
  if (!whole) return undefined
  const left = Object.keys(whole[1]['properties']).filter((name) => !(name in schema['properties']))
  if (left.length === 0) return `Change<${whole[0]}>`
  return `Change<Omit<${whole[0]}, ${union(left.map((name) => `'${name}'`))}>>`
}

/** As the formatter of the project leaves it. */
export function formatted(text: string): string {
  const biome = spawnSync('biome', ['format', '--stdin-file-path=src/client/api.ts'], {
    input: text,
    encoding: 'utf8',
  })
  if (biome.status !== 0) throw new Error(`biome: ${biome.stderr}`, { cause: biome.error })
  return biome.stdout
}

function typeOfOperation({ parameters = [], requestBody, responses }: Operation): string {
  const body = requestBody?.content['application/json']
  const members = [
    parameterMember('path', parameters, 'path'),
    parameterMember('query', parameters, 'query'),
    parameterMember('headers', parameters, 'header'),
    body && `body${requestBody.required ? '' : '?'}: ${typeOf(body.schema)}`,
    `answer: ${typeOfAnswer(responses)}`,
  ]
  return `{ ${members.filter(Boolean).join('; ')} }`
}

/** Parameters of every list. */
const PAGING = ['limit', 'cursor']

function parameterMember(member: string, all: Parameter[], place: Parameter['in']): string | null {
  const parameters = all.filter((parameter) => parameter.in === place)
  if (parameters.length === 0) return null
  const isNeeded = parameters.some(({ required }) => required)
  const isPaged = PAGING.every((one) => parameters.some(({ name }) => name === one))
  const own = parameters.filter(({ name }) => !isPaged || !PAGING.includes(name))
  const types = own.map(({ name, required, schema }) => memberOf(name, schema, required))
  const type = [isPaged && 'Paging', own.length > 0 && block(types)].filter(Boolean).join(' & ')
  return `${member}${isNeeded ? '' : '?'}: ${type}`
}

/** Of every status that is no refusal; streams are no matter of this client. */
function typeOfAnswer(responses: Operation['responses']): string {
  const types = Object.entries(responses)
    .filter(([status]) => status < '300')
    .map(([, { content }]) => {
      if (!content) return 'undefined'
      const json = content['application/json']
      return json ? typeOf(json.schema) : 'never'
    })
  return [...new Set(types)].join(' | ')
}

function typeOf(schema: Schema): string {
  if ('name' in schema) return schema['name']
  if ('$ref' in schema) return schema['$ref'].split('/').at(-1)
  if ('const' in schema) return JSON.stringify(schema['const'])
  if ('enum' in schema) return union(schema['enum'].map((value: unknown) => JSON.stringify(value)))
  if ('allOf' in schema) return schema['allOf'].map(typeOf).map(grouped).join(' & ')
  const choices: Schema[] | undefined = schema['anyOf'] ?? schema['oneOf']
  if (choices) return union(choices.map(typeOf))
  return union([schema['type'] ?? 'unknown'].flat().map((type: string) => ofType(type, schema)))
}

function ofType(type: string, schema: Schema): string {
  if (type === 'integer') return 'number'
  if (type === 'array') return `${grouped(typeOf(schema['items'] ?? {}))}[]`
  return type === 'object' ? ofObject(schema) : type
}

function ofObject({ properties, required = [], additionalProperties }: Schema): string {
  if (!properties) {
    const isOpen = typeof additionalProperties !== 'object'
    return `Record<string, ${isOpen ? 'unknown' : typeOf(additionalProperties)}>`
  }
  const members = Object.entries(properties as Record<string, Schema>)
  const types = members.map(([name, schema]) => memberOf(name, schema, required.includes(name)))
  return block(types)
}

function memberOf(name: string, schema: Schema, isRequired = false): string {
  const key = /^\w+$/.test(name) ? name : JSON.stringify(name)
  const type = typeOf(schema)
  return `${comment(schema)}${key}${isRequired ? `: ${type}` : `?: ${union([type, 'undefined'])}`}`
}

/** On one line where no member has a comment. */
function block(members: string[]): string {
  const isLong = members.some((member) => member.startsWith('/**'))
  return isLong ? `{\n${members.join('\n')}\n}` : `{ ${members.join('; ')} }`
}

function union(types: string[]): string {
  return [...new Set(types)].join(' | ')
}

function grouped(type: string): string {
  return /^[^{]* [|&] /.test(type) ? `(${type})` : type
}

function comment({ description }: Schema): string {
  if (!description) return ''
  const text = description.replaceAll('*/', '*\\/')
  return text.includes('\n')
    ? `/**\n * ${text.replaceAll('\n', '\n * ')}\n */\n`
    : `/** ${text} */\n`
}

if (import.meta.main) writeFileSync(API_FILE, formatted(renderTypes(await readDocument())))
