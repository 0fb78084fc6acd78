/** What a customer is told who is refused: everything that the forms of the portal can say, in German. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { sentence } from '../console/forms.ts'
import { REFUSALS } from '../console/german-refusals.ts'
import { inLanguage, sayMistake } from '../console/language.ts'
import { PROBLEMS } from '../problem.ts'
import { MASK } from '../sending/request-headers.ts'
import { createWorld } from '../testing/data/world.ts'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { cookieIn, createTestPortal } from '../testing/wiring/portal.ts'

const { pool } = await createTestDatabase(t)
const portal = await createTestPortal(pool, {})

/** What stands before words that nobody has translated. */
const UNKNOWN = REFUSALS['This is not accepted: {reason}'].replace('{reason}', '')
const german = (text: string): string => inLanguage('de', () => sayMistake(text))

const KEY = `whsk_${Buffer.alloc(32, 1).toString('base64')}`
const SHORT_KEY = `whsk_${Buffer.alloc(16, 1).toString('base64')}`
const HALVES = `whsk_${Buffer.alloc(64, 1).toString('base64')}`
const lines = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => line(n)).join('\n')

/** By field: what nobody may type there. */
const WRONG: Record<string, readonly string[]> = {
  url: [
    ...['', 'x', 'ftp://example.com', 'https:example.com', 'https://a:b@example.com/'],
    ...[
      'https://example.com/#x',
      'https://ex%61mple.com/',
      'https://example.com\\a',
      'http://10.0.0.1/',
    ],
    ...[
      `https://example.com/${'x'.repeat(2_050)}`,
      'https://example.com/a b',
      'https://exam\u00adple.com/',
    ],
    ...[
      '\u200b',
      '\u200c',
      '\u200d',
      '\u200e',
      '\u200f',
      '\u202a',
      '\u202f',
      '\u00a0',
      '\u2060',
      '\u2066',
    ].map((hidden) => `https://example.com/${hidden}x`),
    ...['https://example.com/\ufeffx', 'https://example.com/\tx', 'https://example.com/\u2800x'],
  ],
  description: ['x'.repeat(1_001), 'pay\u202eto', 'a\u200bb'],
  purpose: ['x'.repeat(201), 'pay\u202eto'],
  eventTypes: [
    ...[
      '!',
      'a.*.b',
      'a..b, !',
      lines(101, (n) => `type.${n}`),
      'x'.repeat(129),
      'a\u200bb',
      'a !b c!',
    ],
  ],
  filter: [
    ...[
      'x',
      '$',
      '$.a',
      '$.a ==',
      '$.a == $.b',
      '1 == 1',
      '(',
      '($.a == 1',
      '!$.a == 1',
      '$.a == 1 x',
      '$. == 1',
    ],
    ...['$[x] == 1', '$[1 == 1', '$.a == "\\u0000"', `${'$.a == 1 && '.repeat(30)}$.a == 1`],
    ...[
      `$${'[*]'.repeat(7)} == 1`,
      `$${'.a'.repeat(11)} == 1`,
      'x'.repeat(1_001),
      '$.a == "\u202e"',
      '$.a = 1',
    ],
    '$.a == "\u0007"',
  ],
  channels: ['!', 'a !', 'x'.repeat(129), lines(11, (n) => `c${n}`), 'a\u200bb'],
  headers: [
    ...[
      'a b: c',
      'webhook-id: 1',
      'X-A: 1\nx-a: 2',
      'X-A: \u00e9',
      'X-A:',
      '__proto__: a',
      'X-\u200b: a',
    ],
    ...[
      lines(21, (n) => `X-${n}: 1`),
      `X-A: ${'x'.repeat(4_096)}`,
      `X-A: ${MASK}`,
      'X-A: a\u200bb',
    ],
  ],
  secretHeaders: ['X-None', lines(21, (n) => `X-${n}`)],
  ratePerSecond: ['x', '0', '-1', '1e9', 'Infinity'],
  maxInFlight: ['x', '0', '1.5', '99999999'],
  timeoutSeconds: ['x', '0', '61', '1.5'],
  retrySchedule: ['x', '0', '1.5', '99999999', lines(51, () => '1')],
  ordering: ['x'],
  onFailure: ['x'],
  collapse: ['x', '-1', '86400001', '1.5'],
  'batch.maxEvents': ['x', '0', '1001', '1.5'],
  'batch.maxWaitMs': ['x', '-1', '3600001'],
  'batch.maxBytes': ['x', '0', '8388609'],
  shape: ['x', 'fields', 'thin'],
  shapeFields: ['x', '$', lines(51, (n) => `$.a${n}`), `$.${'x'.repeat(200)}`],
  shapeTemplate: ['x'.repeat(2_001), 'pay\u202eto', '{{nope}}', '{{data["a b"]}}', '{{data'],
  signatureHeaders: [
    ...[
      'X-A: \u00e9',
      'X-A: [a][b]',
      'X-A: {nothing}',
      'X-A: {hmac_hex over {body}',
      'X-A: {hmac_hex}',
      'X-A: a over {body}',
      'a b: c',
      'X-A:',
    ],
    ...[
      'X-A: [a]{hmac_hex} over {body}',
      'X-A: {hmac_hex} over {id}',
      'webhook-id: 1',
      'X-A: 1\nx-a: 2',
    ],
    ...[lines(6, (n) => `X-${n}: 1`), `X-A: ${'x'.repeat(201)}`, 'X-A: {hmac_hex} over {x}{body}'],
  ],
  webhookSignature: ['x', 'omit'],
  secret: [
    ...[
      'short',
      'x',
      'x'.repeat(257),
      'whpk_12345678',
      ' 12345678',
      '1234\u200b5678',
      `whsec_${'A'.repeat(31)}=`,
    ],
    ...['whsk_AAAA', SHORT_KEY, HALVES, '1234\u00a05678', '1234\n5678'],
  ],
  secretEncoding: ['x'],
}
/** Of two fields together. */
const TOGETHER: readonly Record<string, string>[] = [
  ...['base64', 'base64url', 'hex'].map((secretEncoding) => ({
    secret: '!'.repeat(20),
    secretEncoding,
  })),
  ...['base64', 'hex'].map((secretEncoding) => ({ secret: 'aaaaaaaa', secretEncoding })),
  { secret: KEY, secretEncoding: 'text' },
  { secret: KEY, signatureHeaders: 'X-A: {hmac_hex} over {body}' },
  { shape: 'raw', 'batch.maxEvents': '10' },
  { url: 'x', timeoutSeconds: '61', eventTypes: '! ?' },
]

/** Sessions of a link in English and of one in German. */
async function enterBoth() {
  const { tenant, ids } = await createWorld(pool, { incident: false })
  const sessions = await Promise.all(
    (['en', 'de'] as const).map(async (locale) => {
      const link = await portal.createLink(tenant.key, { locale, access: 'manage' })
      return { cookie: cookieIn((await portal.open(link)).headers) }
    }),
  )
  const send = (path: string, fields: Record<string, string>) =>
    Promise.all(sessions.map(async (session) => await portal.post(path, fields, session)))
  return { send, ids }
}

const EMPTY = Object.fromEntries(
  ['url', 'ordering', 'onFailure', ...Object.keys(WRONG)].map((name) => [name, '']),
)
const FILLED = { ...EMPTY, url: 'http://127.0.0.1:9/a' }
const FORMS = Object.entries(WRONG)
  .flatMap(([name, values]) => values.map((value): Record<string, string> => ({ [name]: value })))
  .concat(TOGETHER)

/** What is said below the fields of a form. */
const mistakesIn = ({ text }: { text: string }): string[] =>
  [...text.matchAll(/class="(?:mistake|notice bad)"[^>]*>\s*([^<]*)</g)].map(([, said = '']) =>
    unescaped(said),
  )
const unescaped = (html: string): string =>
  html
    .replace(/&quot;/g, '"')
    .replace(/&#39;/g, "'")
    .replace(/&lt;/g, '<')
    .replace(/&gt;/g, '>')
    .replace(/&amp;/g, '&')

t.test('every mistake in the form of an endpoint is told in German', async (t) => {
  const { send } = await enterBoth()
  const said: string[] = []
  for (const fields of FORMS) {
    const answers = await send('/portal/endpoints/new', { ...FILLED, ...fields })
    const [english = [], translated = []] = answers.map(mistakesIn)
    const what = JSON.stringify(fields).slice(0, 200)
    t.ok(english.length > 0, `${what} is refused`)
    t.equal(translated.length, english.length, what)
    for (const [at, words] of translated.entries()) {
      t.notMatch(words, UNKNOWN, what)
      t.not(words, english[at], what)
    }
    said.push(...english)
  }
  t.strictSame(
    messagesInCode()
      .filter(({ form }) => !said.some((one) => form.test(one)))
      .map(({ text }) => text),
    [],
  )
})

/** Where the messages of these fields stand, and what no form of the portal can bring about. */
const SOURCES = [
  'endpoints/endpoint-input',
  'endpoints/filter',
  'endpoints/shape',
  'sending/signature-headers',
].concat([
  'sending/signing-secret',
  'sending/signature',
  'secrets/secret-headers',
  'hidden-characters',
])
const NOT_IN_FORMS = [
  'entries', // Of metadata, which forms do not have.
  'whpk_; an ed25519', // Of a public key, which is refused before.
  'makes no HMAC', // Of a header that is signed with a key of the other kind: refused when it is sent.
  'is empty', // Of a secret: an empty field has one generated.
  'is not https', // Where only https is accepted: below.
  'is secret; give its value', // Of a header that is stored already.
  'has more than 1000', // Of the description of the filter.
]

function messagesInCode(): { text: string; form: RegExp }[] {
  const literal =
    /(['`])((?:is|are|has|have|contains|does|signs|goes|cannot|begins|a filter|a path) [^'`\n]{3,})\1/g
  return SOURCES.flatMap((name) => {
    const code = readFileSync(new URL(`../${name}.ts`, import.meta.url), 'utf8')
    return [...code.matchAll(literal)].map(([, , text = '']) => ({ text, form: formOf(text) }))
  }).filter(({ text }) => !NOT_IN_FORMS.some((part) => text.includes(part)))
}

const formOf = (text: string): RegExp =>
  new RegExp(
    text
      .split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/)
      .map((part) => part.replace(/[.*+?^$()|[\]\\{}]/g, '\\$&'))
      .join('.+'),
    's',
  )

t.test('every code has its title in German, and so has what it says in detail', (t) => {
  const titles = Object.values(PROBLEMS).map(([, title]) => sentence(title))
  for (const text of [...titles, ...DETAILS]) {
    t.notMatch(german(text), UNKNOWN, text)
    t.not(german(text), text)
  }
  t.end()
})

const ID = '01980000-0000-7000-8000-000000000000'
/** As pages say them; other details are of the API alone. */
const DETAILS = [
  'a form has at most 524288 bytes',
  'a form has at most 1000 fields',
  'A field holds a NUL character, which cannot be stored.',
  'a newer event of the ordering key of delivery {id} is sent instead',
  'a tenant has at most 1000 endpoints; delete one first',
  'At most 100 requests per second with one API key.',
  'At most 100 requests per 10 seconds with one API key.',
  'at most 20 streams of one tenant per process',
  'Choose what to do with the key.',
  'delivery {id} is already delivered',
  'delivery {id} is in flight',
  'delivery {id} waits for an earlier event of its ordering key',
  'endpoint {id} is disabled: the endpoint returned 410 Gone',
  'endpoint {id} is paused',
  'no key of this service opens the secret of the endpoint; rotate it if the key is lost',
  'no key of this service opens the secret or the client key of the endpoint',
  'no match was found within 3 s; narrow the time range with since and until',
  'the data of event {id} is gone',
  'The data of this event was erased.',
  'It cannot be ed25519 while signatureHeaders sign: use hmac, or remove those first',
  'the filters of this tenant have more than 100 steps into arrays together',
  'the filters of this tenant have more than 10000 steps and operators together',
  'the tenant has 3 replays running, as many as are allowed; wait until one is done, or cancel one',
  'portal link x has 3 replays running, as many as are allowed; wait until one is done, or cancel one',
  'this key or tenant has too many of these requests in progress',
  'too many wrong keys; keys that worked within the last hour are still accepted',
  'Try again; nothing is lost.',
  '10 secrets are active; wait for an overlap to end, or set it to 0',
  'It is not https, and nothing else is accepted here',
  'It is secret; give its value to have it shown',
  'Weak: 30 bits at most, where 128 are advised. Rotate it once the receiver can.',
  'Weak: 30 bits at most, where 128 are advised. Rotate it once the receiver can. Standard Webhooks ask for 24 to 64 bytes, this key has 8.',
].map((text) => sentence(text.replace('{id}', ID)))

t.test('what is refused before the link is known speaks the language of the browser', async (t) => {
  const elsewhere = { origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }
  const send = async (language: string) => {
    const headers = { ...elsewhere, 'accept-language': language }
    return await portal.post('/portal/endpoints/new', FILLED, { cookie: null, headers })
  }
  t.match(await send('de-AT, en;q=0.5'), { status: 403, text: 'Das Formular kam von einer Seite' })
  t.match(await send('fr'), { status: 403, text: 'The form came from a page of another site.' })
})
