import { html, raw } from 'hono/html'
import { nameOf, type Schema } from './examples.ts'

export type Html = ReturnType<typeof html>

/** Text of the document, in which `code` stands between back quotes. */
export function prose(text = ''): Html {
  return html`${text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))}`
}

/** The members of an object, each with its type and meaning; parts of an `allOf` one after the other. */
export function membersOf(schema: Schema): Html {
  const parts: Schema[] = schema['allOf'] ?? [schema]
  return html`${parts.map((part) =>
    '$ref' in part ? html`<p>All of ${typeOf(part)}, and:</p>` : ownMembers(part),
  )}`
}

function ownMembers({ properties = {}, required = [] }: Schema): Html {
  const members = Object.entries(properties as Record<string, Schema>)
  if (members.length === 0) return html``
  return html`<dl>${members.map(([name, schema]) => member(name, schema, required.includes(name)))}</dl>`
}

function member(name: string, schema: Schema, isRequired: boolean): Html {
  const inner = schema['type'] === 'array' ? (schema['items'] ?? {}) : schema
  return html`<dt><code>${name}</code> <span class="type">${typeOf(schema)}</span>${isRequired ? '' : html` <span class="optional">optional</span>`}</dt>
<dd>${prose(schema['description'])} ${boundsOf(schema)}${'$ref' in inner ? '' : ownMembers(inner)}</dd>`
}

/** `array of Delivery`, `string or null`, `"active" or "paused"`; names of schemas are links. */
export function typeOf(schema: Schema): Html {
  if ('$ref' in schema) {
    const name = nameOf(schema)
    return html`<a href="#schema-${name}">${name}</a>`
  }
  if ('enum' in schema || 'const' in schema) {
    const values: unknown[] = schema['enum'] ?? [schema['const']]
    return html`${values.map((value) => JSON.stringify(value)).join(' or ')}`
  }
  const choices: Schema[] = schema['anyOf'] ?? schema['oneOf'] ?? []
  if (choices.length > 0) return joined(choices.map(typeOf), ' or ')
  const types = [schema['type'] ?? 'any'].flat().map((type) => ofType(type, schema))
  return joined(types, ' or ')
}

function ofType(type: string, { items, format, additionalProperties }: Schema): Html {
  if (type === 'array') return html`array of ${typeOf(items ?? {})}`
  if (type === 'object' && typeof additionalProperties === 'object') {
    return html`object of ${typeOf(additionalProperties)}`
  }
  return html`${type}${type === 'string' && format ? ` (${format})` : ''}`
}

const joined = (parts: Html[], between: string): Html =>
  html`${parts.map((part, index) => html`${index === 0 ? '' : between}${part}`)}`

const BOUNDS = {
  minimum: 'at least',
  maximum: 'at most',
  minLength: 'characters at least',
  maxLength: 'characters at most',
  minItems: 'entries at least',
  maxItems: 'entries at most',
  pattern: 'like',
  default: 'default',
}

function boundsOf(schema: Schema): Html {
  const given = Object.entries(BOUNDS).filter(([keyword]) => keyword in schema)
  return html`${given.map(
    ([keyword, words]) =>
      html` <span class="bound">${words} <code>${JSON.stringify(schema[keyword])}</code></span>`,
  )}`
}

/** JSON to read, where it is put as it is. */
export function json(value: unknown): Html {
  return html`<pre>${raw(escaped(JSON.stringify(value, null, 2)))}</pre>`
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
