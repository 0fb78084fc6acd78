/**
 * What comes from careless and from hostile clients, sent to every operation: it is refused by name, is never a
 * fault of ours, and leaves nothing behind.
 */
import t, { type Test } from 'tap'
import { placesIn, replaced } from '../../testing/data/hostile.ts'
import { createStoredRows } from '../../testing/data/stored-rows.ts'
import { bodyIn, createWorld, pathIn } from '../../testing/data/world.ts'
import { type Answer, createTestApi, type RequestOptions } from '../../testing/wiring/api.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { type Document, methodsOf, type Operation } from '../../testing/wiring/openapi-check.ts'

const { pool } = await createTestDatabase(t)
const { request, logged } = createTestApi(pool)
const storedRows = createStoredRows(pool)
const document = (await request('GET', '/openapi.json')).json as Document
const world = await createWorld(pool)

interface Target {
  name: string
  operation: Operation
  template: string
  /** Of something that exists. */
  path: string
  /** The example of the document. */
  body: unknown
  send: (options?: RequestOptions & { path?: string }) => Promise<Answer>
}

const targets = Object.entries(document.paths).flatMap(([template, item]) =>
  Object.entries(item).map(([method, operation]): Target => {
    const own = pathIn(world, template)
    return {
      name: `${method.toUpperCase()} ${template}`,
      operation,
      template,
      path: own,
      body: bodyIn(world, operation),
      send: ({ path = own, ...options } = {}) => request(method.toUpperCase(), path, options),
    }
  }),
)
const withBody = targets.filter(({ body }) => body !== undefined)

/** A test in which nothing is stored and nothing is a fault of ours. */
function refuses(name: string, run: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    const before = await storedRows()
    await run(t)
    t.strictSame(await storedRows(), before, 'nothing is stored')
    t.strictSame(logged, [])
  })
}

/** What zod says where nobody has written a message, and a pattern that people would have to read. */
const RAW = /^(Too|Invalid|Unrecognized)\b|does not match \//

const isRefused = ({ status, json }: Answer) =>
  status >= 400 &&
  status < 500 &&
  !json?.errors?.some(({ message }: { message: string }) => RAW.test(message))

refuses('JSON that is broken', async (t) => {
  for (const { name, body, send } of withBody) {
    const text = JSON.stringify(body)
    for (const broken of [text.slice(0, -1), `${text}}`, 'undefined', "{'a':1}", '{"a":1,}']) {
      const answer = await send({ body: broken })
      t.match(answer, { status: 400, json: { code: 'json_invalid' } }, `${name} ${broken}`)
    }
    const bytes = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
    t.match(await send({ body: bytes }), { status: 400, json: { code: 'utf8_invalid' } }, name)
  }
})

refuses('JSON that is no object', async (t) => {
  for (const { name, send } of withBody) {
    for (const body of ['null', '[]', '1', '"a"', 'true']) {
      const answer = await send({ body })
      t.match(answer, { status: 422, json: { code: 'request_invalid' } }, `${name} ${body}`)
    }
  }
})

refuses('another content type', async (t) => {
  for (const { name, body, send } of withBody) {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data',
      '',
    ]) {
      const answer = await send({ body, headers: { 'content-type': type } })
      t.match(answer, { status: 415 }, `${name} ${type}`)
    }
  }
})

refuses('another method, with those that are allowed', async (t) => {
  for (const { template, path } of targets) {
    const allowed = methodsOf(document, path)
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
      if (allowed.includes(method)) continue
      const answer = await request(method, path)
      t.match(
        answer,
        { status: 405, json: { code: 'method_not_allowed' } },
        `${method} ${template}`,
      )
      const said = (answer.headers.get('allow') ?? '').split(', ').sort()
      t.strictSame(said, allowed, `${method} ${template}`)
    }
  }
})

refuses('ids that are too long, and no ids at all', async (t) => {
  const odd = ['x'.repeat(10_000), '%00', 'a%00b', '%ED%A0%80', '%', '%2F', ':id', '*', '٣', '%20']
  for (const { name, operation, template, body, send } of targets) {
    const named = (operation.parameters ?? []).filter(({ in: place }) => place === 'path')
    for (const parameter of named) {
      for (const value of odd) {
        const answer = await send({
          path: pathIn(world, template, { [parameter.name]: value }),
          body,
        })
        t.ok(isRefused(answer), `${name} ${parameter.name}=${value.slice(0, 20)}: ${answer.status}`)
      }
    }
  }
})

refuses('text that Postgres cannot hold, wherever there is text', async (t) => {
  for (const { name, body, send } of withBody) {
    for (const place of textsIn(body)) {
      for (const text of ['\0', 'a\0b', '\ud800', 'a\udfffb']) {
        const answer = await send({ body: replaced(body, place, text) })
        t.ok(
          isRefused(answer),
          `${name} ${place.join('.')}=${JSON.stringify(text)}: ${answer.status}`,
        )
      }
    }
  }
})

// Issue 14, 17: they stood at the end of URLs, and in names that looked like others.
refuses('characters that nobody sees, wherever people read text', async (t) => {
  for (const { name, body, send } of withBody) {
    for (const place of textsIn(body)) {
      // What is data goes on as it was written, and pages show what is hidden in it.
      if (place.includes('data') || place.includes('schema')) continue
      for (const character of ['\u200b', '\u202e', '\u00ad', '\ufeff', '\u2028', '\u0085']) {
        const answer = await send({ body: replaced(body, place, `a.b${character}`) })
        t.ok(
          isRefused(answer),
          `${name} ${place.join('.')} U+${character.charCodeAt(0).toString(16)}: ${answer.status}`,
        )
      }
    }
  }
})

refuses('text that is far too long, wherever there is text', async (t) => {
  for (const { name, body, send } of withBody) {
    for (const place of textsIn(body)) {
      if (place.includes('data')) continue
      const answer = await send({ body: replaced(body, place, 'x'.repeat(70_000)) })
      t.ok(isRefused(answer), `${name} ${place.join('.')}: ${answer.status}`)
    }
  }
})

refuses('\\u0000 and lone surrogates inside data', async (t) => {
  const { tenant } = world
  for (const data of ['\0', ['a\0'], { a: { b: '\0' } }, { 'k\0': 1 }, '\ud800', { '\udc00': 1 }]) {
    const event = { tenant: tenant.key, type: 'invoice.paid', data }
    const field = JSON.stringify(data)
    const single = await request('POST', '/api/events', { body: event })
    t.match(single, { status: 422, json: { errors: [{ field: 'data' }] } }, field)
    const events = [{ ...event, data: 1 }, event]
    const batch = await request('POST', '/api/events/batch', { body: { events } })
    t.match(batch, { status: 422, json: { errors: [{ field: 'events[1].data' }] } }, field)
  }
})

refuses('numbers that Postgres cannot hold', async (t) => {
  for (const number of ['1e131073', '-1e131073', `1${'0'.repeat(140_000)}`]) {
    const body = `{"tenant":"${world.tenant.key}","type":"invoice.paid","data":${number}}`
    const answer = await request('POST', '/api/events', { body })
    t.match(answer, { status: 422, json: { errors: [{ field: 'data' }] } }, number.slice(0, 12))
  }
})

refuses('10 MB', async (t) => {
  for (const { name, body, send } of withBody) {
    const large = { ...(body as object), data: 'x'.repeat(10_000_000) }
    t.match(await send({ body: large }), { status: 413, json: { code: 'body_too_large' } }, name)
  }
})

refuses('nesting that is too deep', async (t) => {
  for (const { name, body, send } of withBody) {
    for (const levels of [600, 30_000]) {
      const deep = '['.repeat(levels) + ']'.repeat(levels)
      const text = JSON.stringify({ ...(body as object), data: '#deep' }).replace('"#deep"', deep)
      t.match(await send({ body: text }), { status: 400, json: { code: 'json_too_deep' } }, name)
    }
  }
})

const lists = targets.filter(({ operation }) =>
  operation.parameters?.some(({ name }) => name === 'limit'),
)

refuses('limits from nowhere', async (t) => {
  t.ok(lists.length >= 6)
  for (const { name, path, send } of lists) {
    for (const limit of [
      '-1',
      '0',
      '101',
      '1000000000',
      '1e2',
      '1.5',
      'ten',
      '',
      '%201',
      '٣',
      'NaN',
    ]) {
      const answer = await send({ path: `${path}?limit=${limit}` })
      t.match(answer, { status: 422, json: { errors: [{ field: 'limit' }] } }, `${name} ${limit}`)
    }
  }
})

refuses('cursors that are garbage', async (t) => {
  for (const { name, path, send } of lists) {
    for (const cursor of ['', 'garbage!', '%00', '..', 'x'.repeat(5_000), '%F0%9F%99%82', '=']) {
      const answer = await send({ path: `${path}?cursor=${cursor}` })
      t.match(answer, { status: 422, json: { errors: [{ field: 'cursor' }] } }, `${name} ${cursor}`)
    }
  }
})

refuses('parameters that are not known', async (t) => {
  for (const { name, path, send } of lists) {
    const answer = await send({ path: `${path}?limt=1` })
    t.match(answer, { status: 422, json: { errors: [{ field: 'limt' }] } }, name)
  }
})

/** But not within a JSON Schema, which is kept as it was written. */
function textsIn(body: unknown): string[][] {
  return placesIn(body).filter(
    (place) => typeof at(body, place) === 'string' && !place.includes('schema'),
  )
}

function at(value: unknown, place: readonly string[]): unknown {
  return place.reduce((part, name) => (part as Record<string, unknown>)[name], value)
}
