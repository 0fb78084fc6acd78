import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import t from 'tap'
import { readDocument } from '../../scripts/client-types.ts'
import { type Field, fieldsOf, optionOf } from '../terminal/option-fields.ts'
import { RequestCommand } from '../terminal/request-command.ts'
import { startReceiver } from '../testing/servers/receiver.ts'
import type { Operation, Schema } from '../testing/wiring/openapi-check.ts'
import { createProgram } from './program.ts'

/**
 * Issue 14, 21: `endpoint create` knew 4 of 12 fields, and there was no `endpoint change`. What the API can do, the
 * command line can, but for what is named here with its reason.
 */
const NO_COMMAND: Record<string, string> = {
  'GET /metrics': 'for Prometheus, which has no command line',
  'GET /live': 'for supervisors, which ask over HTTP',
  'GET /ready': 'for supervisors, which ask over HTTP',
}
/** What is more than one request, or does not end. */
const PROGRAMS: Record<string, string> = {
  'POST /api/events': 'publish',
  'POST /api/events/batch': 'publish-batch',
  'POST /api/tenants/{tenant}/replays': 'replay start',
  'POST /api/tenants/{tenant}/deliveries/bulk': 'bulk',
  'GET /api/tenants/{tenant}/stream': 'tail',
}
/** Fields that no option gives. */
const NO_OPTION: Record<string, Record<string, string>> = {
  publish: {
    tenant: 'an argument',
    type: 'an argument',
    data: 'an argument',
    traceparent: 'of programs that trace',
    tracestate: 'of programs that trace',
  },
  'publish-batch': {
    events: 'the file',
    traceparent: 'of programs that trace',
    tracestate: 'of programs that trace',
  },
  bulk: { action: 'an argument' },
  tail: {
    answers: 'chosen by --json',
    include: 'chosen by the command: `listen` forwards it',
    'last-event-id': 'kept by the command while it runs',
  },
}

const document = await readDocument()
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(
    ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
  ),
)

const context = (api: string, stopSignal = new AbortController().signal) => ({
  env: { POSTRIDER_URL: api, POSTRIDER_API_KEY: 'key' },
  cwd: import.meta.dirname,
  stdin: (async function* () {})(),
  print: () => undefined,
  note: () => undefined,
  hasColours: false,
  isWatched: false,
  stopSignal,
})

function commandsBelow(command: Command, path = ''): [path: string, command: Command][] {
  return command.commands.flatMap((one) => {
    const name = `${path} ${one.name()}`.trim()
    return [[name, one] as [string, Command], ...commandsBelow(one, name)]
  })
}
const commands = commandsBelow(createProgram(context('http://127.0.0.1:9')))

t.test('every command that a page tells people to run exists', async (t) => {
  const root = join(import.meta.dirname, '..')
  const pages = globSync('**/*.tsx', { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  )
  const told = pages.flatMap((page) => [...page.matchAll(/postrider ([a-z-]+(?: [a-z-]+)?)/g)])
  t.ok(told.length > 5)
  for (const [, line = ''] of told) {
    const [noun = ''] = line.split(' ')
    const isNoun = commands.some(([name]) => name.startsWith(`${noun} `))
    const wanted = isNoun ? line : noun
    t.ok(
      commands.some(([name]) => name === wanted),
      wanted,
    )
  }
})

/** The commands that make this request. */
function commandsFor(operation: string): [path: string, command: Command][] {
  const program = PROGRAMS[operation]
  return commands.filter(([path, command]) =>
    program === undefined
      ? command instanceof RequestCommand && command.spec.operation === operation
      : path === program,
  )
}

function resolved(schema: Schema): Schema {
  const { $ref } = schema as { $ref?: string }
  return $ref ? (document.components.schemas[$ref.split('/').at(-1) ?? ''] ?? {}) : schema
}

function membersOf({ parameters = [], requestBody }: Operation): Record<string, Schema> {
  const given = parameters.filter((one) => one.in !== 'path').map((one) => [one.name, one.schema])
  const body = resolved(requestBody?.content['application/json']?.schema ?? {})
  return { ...Object.fromEntries(given), ...(body['properties'] as Record<string, Schema>) }
}

const isNullable = (schema: Schema): boolean => {
  const { type, anyOf } = resolved(schema) as { type?: unknown; anyOf?: Schema[] }
  return [type].flat().includes('null') || (anyOf ?? []).some(isNullable)
}

for (const [operation, described] of operations) {
  const reason = NO_COMMAND[operation]
  t.test(`${operation}: ${reason ?? 'a command, with an option for each field'}`, async (t) => {
    const found = commandsFor(operation)
    if (reason !== undefined) {
      t.strictSame(found, [], 'no command')
      return
    }
    t.ok(found.length > 0, 'there is a command')
    const members = membersOf(described)
    // Several commands may share an operation: one of them has everything.
    const missing = found.map(([path, command]) => {
      const given = fieldsOf(command).map(({ name }) => name)
      const positional = command instanceof RequestCommand ? command.spec.positional : []
      const others = Object.keys(NO_OPTION[path] ?? {})
      const known = [...given, ...others, ...(positional ?? []).map(({ name }) => name)]
      t.strictSame(
        known.filter((name) => !(name in members)),
        [],
        `${path}: each is of the API`,
      )
      return Object.keys(members).filter((name) => !known.includes(name))
    })
    t.ok(
      missing.some((names) => names.length === 0),
      `without an option: ${missing.join('; ')}`,
    )
  })
}

t.test('what the API takes as null can be taken away', async (t) => {
  for (const [path, command] of commands) {
    if (!(command instanceof RequestCommand) || !command.spec.isChange) continue
    const [, described] = operations.find(([name]) => name === command.spec.operation) ?? []
    for (const [name, schema] of Object.entries(described ? membersOf(described) : {})) {
      if (!isNullable(schema)) continue
      const field = fieldsOf(command).find((one) => one.name === name)
      t.equal(field?.off?.value, null, `${path} --no-${name}`)
    }
  }
})

/** What an option makes of this text, for a member of this type. */
const READ: Record<string, (field: Field) => unknown> = {
  integer: ({ read }) => read?.('5') === 5,
  number: ({ read }) => read?.('0.5') === 0.5,
  array: ({ read }) => Array.isArray(read?.('5,7')),
  boolean: ({ value }) => value === undefined,
}

t.test('an option gives what the API takes: numbers, lists, pairs and switches', async (t) => {
  for (const [path, command] of commands) {
    if (!(command instanceof RequestCommand) || command.spec.operation.startsWith('GET ')) continue
    const [, described] = operations.find(([name]) => name === command.spec.operation) ?? []
    const members = described ? membersOf(described) : {}
    for (const field of fieldsOf(command)) {
      const types = [resolved(members[field.name] ?? {})['type']].flat().map(String)
      const [type = ''] = types.filter((one) => one !== 'null')
      if (types.includes('object') && type === 'object' && !types.includes('boolean')) {
        t.ok(field.isObject || field.member, `${path} ${optionOf(field)}`)
      }
      t.ok(READ[type]?.(field) ?? true, `${path} ${optionOf(field)}: ${type}`)
    }
  }
})

t.test('every exception is one', async (t) => {
  const known = operations.map(([operation]): string => operation)
  for (const operation of [...Object.keys(NO_COMMAND), ...Object.keys(PROGRAMS)]) {
    t.ok(known.includes(operation), operation)
  }
  for (const path of Object.keys(NO_OPTION)) {
    t.ok(
      commands.some(([name]) => name === path),
      path,
    )
  }
})

t.test('each command makes the request that it says', async (t) => {
  await using api = await startReceiver({ answer: () => ({ status: 200, body: '{}' }) })
  for (const [path, command] of commands) {
    if (!(command instanceof RequestCommand)) continue
    const [method, template = ''] = command.spec.operation.split(' ')
    const required = command.options
      .filter(({ mandatory }) => mandatory)
      .flatMap(({ long }) => [long ?? '', 'program.ts'])
    const change = command.spec.isChange ? optionsOf(command).slice(0, 2) : []
    const args = command.registeredArguments.map((_, at) => `a/${at}`)
    const line = [...path.split(' '), ...args, ...required, ...change, '--json']
    await createProgram(context(api.url)).parseAsync(line, { from: 'user' })
    const last = api.requests.at(-1)
    const parts = [...template.matchAll(/\{\w+\}/g)].map(
      ([part], at) => [part, `a%2F${at}`] as const,
    )
    const expected = parts.reduce((url, [part, value]) => url.replace(part, value), template)
    t.equal(`${last?.method} ${last?.path.replace(/\?.*/, '')}`, `${method} ${expected}`, path)
  }
})

/** The first option with a value, and a value that it takes. */
function optionsOf(command: Command): string[] {
  const [field] = fieldsOf(command).filter(({ value, read }) => value !== undefined && !read)
  return field ? [optionOf(field), 'x'] : fieldsOf(command).map(optionOf)
}

const root = join(import.meta.dirname, '..', '..')
const DOCUMENTED = /^(?:\s*\w+=\S+)*\s*(?:\S*\/)?postrider ([a-z][^#|<>&]*?)(?: +[#<>|].*)?$/gm

t.test('every command line that the documents show exists, with its options', async (t) => {
  const lines = globSync('{README.md,docs/**/*.md}', { cwd: root }).flatMap((page) => {
    const blocks = readFileSync(join(root, page), 'utf8').matchAll(/^ *```sh\n(.*?)^ *```$/gms)
    const shell = [...blocks].map(([, block = '']) => block.replaceAll('<id>', 'ID')).join('')
    return [...shell.matchAll(DOCUMENTED)].map(([, line = '']) => ({ page, line: line.trim() }))
  })
  t.ok(lines.length > 40, 'they are found')
  for (const { page, line } of lines) {
    const [, command] = commands.findLast(([path]) => `${line} `.startsWith(`${path} `)) ?? []
    const known = command?.options.map(({ long }) => long) ?? []
    const given = line.match(/(?<= )--[a-z-]+/g) ?? []
    t.ok(command, `${page}: ${line}`)
    t.strictSame(
      given.filter((option) => !known.includes(option)),
      [],
      `${page}: ${line}`,
    )
  }
})
