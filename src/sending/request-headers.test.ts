import t from 'tap'
import {
  isReservedHeader,
  maskHeaders,
  RESERVED_HEADER_NAMES,
  requestHeaders,
  secretNames,
} from './request-headers.ts'

t.test("an endpoint's own headers go along in lower case", async (t) => {
  t.strictSame(requestHeaders({ 'webhook-id': '1' }, { 'X-Team': 'a' }), {
    'x-team': 'a',
    'webhook-id': '1',
  })
})

for (const name of RESERVED_HEADER_NAMES) {
  t.test(`an endpoint cannot set ${name}`, async (t) => {
    const twin = name.replaceAll('-', '_')
    t.strictSame(requestHeaders({}, { [name]: 'x', [name.toUpperCase()]: 'y', [twin]: 'z' }), {})
  })
}

t.test(
  'names with ours at their beginning are reserved, others with it inside are not',
  async (t) => {
    for (const name of ['webhook_id', 'Webhook-Anything', 'WEBHOOK_signature', 'content_Length']) {
      t.ok(isReservedHeader(name), name)
    }
    for (const name of ['x-webhook-id', 'x_team', 'webhooks', 'my_host']) {
      t.notOk(isReservedHeader(name), name)
    }
  },
)

t.test('nor does another spelling of one of ours go out beside it', async (t) => {
  const custom = { Svix_Signature: 'x', 'svix-anything': 'x', X_Shop_Sign: 'x', x_team: 'a' }
  const ours = { 'svix-id': 'msg_1', 'x-shop-sign': 'y' }
  t.strictSame(requestHeaders(ours, custom), { ...ours, x_team: 'a' })
  t.strictSame(
    requestHeaders({}, custom),
    { svix_signature: 'x', 'svix-anything': 'x', x_shop_sign: 'x', x_team: 'a' },
    'where it is not ours it is a name like others',
  )
})

const MASKED = [
  'authorization',
  'proxy-authorization',
  'cookie',
  'x-api-key',
  'X-Auth-Token',
  'apikey',
  'client-secret',
  'x-access-key',
]
const PLAIN = ['content-type', 'user-agent', 'x-team', 'x-keyboard']

for (const name of MASKED) {
  t.test(`the audit log does not hold the value of ${name}`, async (t) => {
    const headers = { [name]: 'v' }
    t.strictSame(maskHeaders({ [name.toLowerCase()]: 'v', host: 'a' }, secretNames({ headers })), {
      [name.toLowerCase()]: '***',
      host: 'a',
    })
  })
}
for (const name of PLAIN) {
  t.test(`the audit log holds the value of ${name}`, async (t) => {
    t.strictSame(maskHeaders({ [name]: 'v' }, secretNames({ headers: { [name]: 'v' } })), {
      [name]: 'v',
    })
  })
}

t.test(
  'the audit log holds neither what is marked secret nor a credential under another name',
  async (t) => {
    const headers = { 'X-Team-Code': 'a', 'X-Forward': 'Bearer abc', 'X-Plain': 'c' }
    const sent = requestHeaders({ 'webhook-signature': 'v1,x' }, headers)
    t.strictSame(maskHeaders(sent, secretNames({ headers, secretHeaders: ['X-Team-Code'] })), {
      'x-team-code': '***',
      'x-forward': '***',
      'x-plain': 'c',
      'webhook-signature': 'v1,x',
    })
  },
)
