import t from 'tap'
import type { EndpointId } from '../ids.ts'
import { looksSecret, MASK } from '../sending/request-headers.ts'
import { headerBoxOf } from './endpoint-secrets.ts'
import {
  HEADERS_LENGTH_MAX,
  HeadersInvalid,
  type StoredHeaders,
  shownHeaders,
  storedHeaders,
} from './secret-headers.ts'
import { createSecretBox } from './secrets.ts'

const ENDPOINT = '01a20f5d-416d-71c8-a250-a3cce9634158'
const NOTHING: StoredHeaders = { headers: {}, secret_headers: {} }
const box = createSecretBox([Buffer.alloc(32, 7)])
const headerBox = headerBoxOf(box, ENDPOINT as EndpointId)
const store = (
  headers: Record<string, string> | undefined,
  secretHeaders?: string[],
  before = NOTHING,
) => storedHeaders({ headers, secretHeaders }, before, headerBox)

function mistakes(work: () => unknown): string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof HeadersInvalid) return error.mistakes.map(({ field }) => field)
    throw error
  }
  return []
}

for (const name of [
  'Authorization',
  'Proxy-Authorization',
  'Cookie',
  'X-Api-Key',
  'x_api_key',
  'apikey',
  'X-Functions-Key',
  'Key',
  'X-Team-Token',
  'Client-Secret',
  'X-Password',
  'X-Hub-Signature',
  'X-JWT',
]) {
  t.test(`${name} looks like a credential`, async (t) => {
    t.ok(looksSecret(name, 'x'))
    const { headers, secret_headers: sealed } = store({ [name]: 'value' })
    t.strictSame(headers, {})
    t.strictSame(Object.keys(sealed), [name])
    t.equal(box.decrypt(sealed[name] ?? '', ENDPOINT, `header:${name.toLowerCase()}`), 'value')
  })
}
for (const value of ['Bearer abc', 'basic dTpw', 'Token token=x', 'https://user:pw@host/']) {
  t.test(`${value} looks like a credential whatever its name`, async (t) => {
    t.ok(looksSecret('X-Forward', value))
  })
}
for (const [name, value] of [
  ['X-Team', 'ledger'],
  ['X-Keyboard', 'qwerty'],
  ['X-Monkey', 'a'],
  ['Accept', 'application/json'],
  ['X-Link', 'https://host/a@b'],
] as const) {
  t.test(`${name}: ${value} does not`, async (t) => {
    t.notOk(looksSecret(name, value))
    t.strictSame(store({ [name]: value }), { headers: { [name]: value }, secret_headers: {} })
  })
}

t.test('what is marked is secret, in any case of its letters, and stays so', async (t) => {
  const before = store({ 'X-Team-Code': 'a', 'X-Team': 'b' }, ['x-team-code'])
  t.strictSame(before.headers, { 'X-Team': 'b' })
  t.strictSame(shownHeaders(before), {
    headers: { 'X-Team': 'b', 'X-Team-Code': MASK },
    secretHeaders: ['X-Team-Code'],
  })
  const changed = store({ 'X-Team-Code': 'c' }, undefined, before)
  t.strictSame(Object.keys(changed.secret_headers), ['X-Team-Code'])
})

t.test('a header with a name that every object inherits is none that is secret', async (t) => {
  const before = store({ constructor: 'a', toString: 'b' } as unknown as Record<string, string>)
  t.strictSame(shownHeaders(before).secretHeaders, [])
})

t.test('what was shown and is given back is as it was', async (t) => {
  const before = store({ Authorization: 'Bearer a', 'X-Code': 'b', 'X-Team': 'c' }, ['X-Code'])
  const { headers, secretHeaders } = shownHeaders(before)
  t.strictSame(store(headers, secretHeaders, before), before)
  t.strictSame(store(headers, undefined, before), before)
  t.strictSame(store(undefined, secretHeaders, before), before)
  const lower = { authorization: MASK, 'x-code': MASK, 'x-team': 'c' }
  t.strictSame(store(lower, undefined, before).secret_headers, {
    authorization: before.secret_headers['Authorization'],
    'x-code': before.secret_headers['X-Code'],
  })
})

t.test('the same value given again changes nothing, unless nobody can tell', async (t) => {
  const before = store({ Authorization: 'Bearer a' })
  t.strictSame(store({ Authorization: 'Bearer a' }, undefined, before), before)
  t.notSame(store({ Authorization: 'Bearer b' }, undefined, before), before)
  const lost = createSecretBox([Buffer.alloc(32, 9)]).encrypt('a', ENDPOINT, 'header:cookie')
  const unreadable = { headers: {}, secret_headers: { Cookie: lost } }
  t.notSame(store({ Cookie: 'a' }, undefined, unreadable), unreadable)
  t.strictSame(store({ Cookie: MASK }, undefined, unreadable), unreadable)
})

t.test('a mask for which nothing is stored is refused, under a new name too', async (t) => {
  const before = store({ Authorization: 'a', 'X-Team': 'b' })
  t.strictSame(
    mistakes(() => store({ Authorization: MASK })),
    ['headers.Authorization'],
  )
  t.strictSame(
    mistakes(() => store({ 'X-New': MASK, 'X-Team': 'b' }, undefined, before)),
    ['headers.X-New'],
  )
  t.strictSame(store({ 'X-Team': MASK }, undefined, before).headers, { 'X-Team': 'b' })
})

t.test('what is secret can be shown again only by giving its value', async (t) => {
  const before = store({ 'X-Code': 'a' }, ['X-Code'])
  t.strictSame(
    mistakes(() => store({ 'X-Code': MASK }, [], before)),
    ['headers.X-Code'],
  )
  t.strictSame(
    mistakes(() => store(undefined, [], before)),
    ['headers.X-Code'],
  )
  t.strictSame(store({ 'X-Code': 'a' }, [], before), {
    headers: { 'X-Code': 'a' },
    secret_headers: {},
  })
})

t.test('a marked name that is no header is refused', async (t) => {
  t.strictSame(
    mistakes(() => store({ 'X-Code': 'a' }, ['X-Code', 'X-Cod'])),
    ['secretHeaders[1]'],
  )
})

t.test('plain credentials of before are masked, and encrypted with the next change', async (t) => {
  const before: StoredHeaders = {
    headers: { Authorization: 'a', 'X-Team': 'b' },
    secret_headers: {},
  }
  t.strictSame(shownHeaders(before), {
    headers: { Authorization: MASK, 'X-Team': 'b' },
    secretHeaders: ['Authorization'],
  })
  const { headers, secret_headers: sealed } = store({ Authorization: MASK }, undefined, before)
  t.strictSame(headers, {})
  t.equal(box.decrypt(sealed['Authorization'] ?? '', ENDPOINT, 'header:authorization'), 'a')
})

t.test('their length is bounded together with that of the values that are kept', async (t) => {
  const half = 'x'.repeat(HEADERS_LENGTH_MAX / 2 - 'Cookie'.length)
  const before = store({ Cookie: half })
  const room = HEADERS_LENGTH_MAX / 2 - 'X-A'.length
  t.strictSame(
    mistakes(() => store({ Cookie: MASK, 'X-A': 'y'.repeat(room) }, undefined, before)),
    [],
  )
  t.strictSame(
    mistakes(() => store({ Cookie: MASK, 'X-A': 'y'.repeat(room + 1) }, undefined, before)),
    ['headers'],
  )
})
