/** Each scheme's own package verifies what is sent in its form. */
import { createHmac } from 'node:crypto'
import { verify as verifyGitHub } from '@octokit/webhooks-methods'
import '@shopify/shopify-api/adapters/node'
import { ApiVersion, shopifyApi } from '@shopify/shopify-api'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import t from 'tap'
import { startReceiver } from '../testing/servers/receiver.ts'
import { startSender } from '../testing/wiring/sender.ts'
import { generateSecret } from './signature.ts'
import { mistakeInTemplate, signatureHeaders } from './signature-headers.ts'

const receiver = await startReceiver()
t.teardown(() => receiver.close())
const sender = startSender()
t.teardown(() => sender.close())

const BODY = '{"id":"évt_1","object":"event","amount": 1.50}'
/** As Stripe, GitHub and Shopify use it: its characters are the key. */
const TEXT_SECRET = 'whsec_a text that is the key'
const OF_TEXT = `text:${TEXT_SECRET}`

/** What a receiver gets of a request with these headers. */
async function sent(templates: Record<string, string>, secrets: string[], more = {}) {
  const path = `/${receiver.requests.length}`
  await sender.send(receiver.url + path, {
    ...{ body: BODY, secrets, signatureHeaders: templates, ...more },
  })
  const arrived = receiver.requests.find((one) => one.path === path)
  if (!arrived) throw new Error('nothing arrived')
  return arrived
}

const STRIPE = 't={timestamp}[,v1={hmac_hex}] over {timestamp}.{body}'
const SVIX = {
  'svix-id': '{id}',
  'svix-timestamp': '{timestamp}',
  'svix-signature': '[v1,{hmac_base64} ] over {id}.{timestamp}.{body}',
}

t.test('Stripe verifies its header, also while a secret is changed', async (t) => {
  const stripe = new Stripe('sk_test_unused')
  const other = 'text:another secret that is a text'
  for (const secrets of [[OF_TEXT], [other, OF_TEXT], [OF_TEXT, other]]) {
    const { body, headers } = await sent({ 'Stripe-Signature': STRIPE }, secrets)
    const event = stripe.webhooks.constructEvent(
      body,
      String(headers['stripe-signature']),
      TEXT_SECRET,
    )
    t.equal(event.id, 'évt_1')
    t.throws(() =>
      stripe.webhooks.constructEvent(`${body} `, String(headers['stripe-signature']), TEXT_SECRET),
    )
  }
})

t.test('a key that makes no HMAC is left out of the brackets while it is still live', async (t) => {
  const stripe = new Stripe('sk_test_unused')
  const key = generateSecret('ed25519')
  const { body, headers } = await sent({ 'Stripe-Signature': STRIPE }, [OF_TEXT, key])
  const value = String(headers['stripe-signature'])
  t.equal(value.split(',').length, 2)
  t.equal(stripe.webhooks.constructEvent(body, value, TEXT_SECRET).id, 'évt_1')
  const five = Array.from({ length: 5 }, (_, n) => `text:another secret ${n}`)
  const many = await sent({ 'Stripe-Signature': STRIPE }, [OF_TEXT, key, ...five])
  t.equal(String(many.headers['stripe-signature']).split(',').length, 6, 'five sign')
  const request = { id: 'id', timestampSeconds: 12, body, secrets: [key] }
  t.throws(() => signatureHeaders({ a: STRIPE }, request), { code: 'secret_invalid' })
})

t.test('GitHub verifies its header', async (t) => {
  const template = { 'X-Hub-Signature-256': 'sha256={hmac_hex} over {body}' }
  const { body, headers } = await sent(template, [OF_TEXT])
  const signature = String(headers['x-hub-signature-256'])
  t.ok(await verifyGitHub(TEXT_SECRET, body, signature))
  t.notOk(await verifyGitHub(TEXT_SECRET, `${body} `, signature))
})

t.test('Shopify verifies its header', async (t) => {
  const template = { 'X-Shopify-Hmac-Sha256': '{hmac_base64} over {body}' }
  const { body, headers } = await sent(template, [OF_TEXT])
  const shopify = shopifyApi({
    apiKey: 'unused',
    apiSecretKey: TEXT_SECRET,
    hostName: 'localhost',
    apiVersion: Object.values(ApiVersion).at(-1) as ApiVersion,
    isEmbeddedApp: false,
  })
  const rest = {
    'x-shopify-api-version': '2026-01',
    'x-shopify-shop-domain': 'shop.myshopify.com',
    'x-shopify-topic': 'orders/create',
    'x-shopify-webhook-id': '1',
  }
  const validate = (rawBody: string) =>
    shopify.webhooks.validate({ rawBody, rawRequest: { headers: { ...headers, ...rest } } })
  t.match(await validate(body), { valid: true })
  t.match(await validate(`${body} `), { valid: false })
})

t.test('Svix verifies its headers, also while a secret is changed', async (t) => {
  const [secret, before] = [generateSecret(), generateSecret()]
  const { body, headers } = await sent(SVIX, [secret, before])
  for (const one of [secret, before]) {
    t.doesNotThrow(() => new SvixWebhook(one).verify(body, headers as Record<string, string>))
  }
  t.throws(() => new SvixWebhook(generateSecret()).verify(body, headers as Record<string, string>))
})

t.test('they stand beside ours, or instead of it', async (t) => {
  const secret = generateSecret()
  const beside = await sent(SVIX, [secret])
  t.ok(new StandardWebhook(secret).verify(beside.body, beside.headers as Record<string, string>))
  const instead = await sent(SVIX, [secret], { webhookSignature: 'omit' })
  t.equal(instead.headers['webhook-signature'], undefined)
  t.ok(instead.headers['webhook-id'], 'what repeats are recognised by stays')
  const alone = await sent({}, [secret])
  t.strictSame(
    Object.keys(alone.headers).filter((name) => /sig/.test(name)),
    ['webhook-signature'],
  )
})

t.test('without brackets the newest secret signs, and a body is never a template', async (t) => {
  const body = '{timestamp}{hmac_hex}$&'
  const request = {
    id: 'id',
    timestampSeconds: 12,
    body,
    secrets: [OF_TEXT, 'text:the one before'],
  }
  const hmac = createHmac('sha256', TEXT_SECRET).update(`id.12.${body}`).digest('hex')
  t.strictSame(signatureHeaders({ 'X-A': '{hmac_hex} over {id}.{timestamp}.{body}' }, request), {
    'x-a': hmac,
  })
  const secrets = [generateSecret('ed25519')]
  t.throws(() => signatureHeaders({ a: '{hmac_hex} over {body}' }, { ...request, secrets }), {
    code: 'secret_invalid',
  })
})

t.test('a template that means nothing is refused in words', async (t) => {
  for (const right of [STRIPE, ...Object.values(SVIX), 'a over b={hmac_hex} over {body}']) {
    t.equal(mistakeInTemplate(right), null, right)
  }
  for (const [wrong, words] of [
    ['', /visible ASCII/],
    ['é', /visible ASCII/],
    ['a\r\nb: c', /visible ASCII/],
    ['{hmac_md5} over {body}', /\{hmac_md5\}/],
    ['{hmac_hex} over {data}', /\{data\}/],
    ['{hmac_hex}', /does not say what is signed/],
    ['a over {body}', /has no \{hmac_hex\}/],
    ['{hmac_hex} over {id}', /without \{body\}/],
    ['sha256={hmac_hex over {body}', /has a \{ alone.*\{timestamp\}/],
    ['sha256=hmac_hex} over {body}', /has a \} alone/],
    ['{{hmac_hex} over {body}', /has a \{ alone/],
    ['{hmac_hex}} over {body}', /has a \} alone/],
    ['{id', /has a \{ alone/],
    ['[{hmac_hex},{hmac_base64] over {body}', /has a \{ alone/],
    ['{hmac_[hex}{hmac_hex}] over {body}', /has a \{ alone/],
    ['{hmac_hex} over {timestamp.{body}', /has a \{ alone/],
    ['{hmac_} over {body}', /\{hmac_\}/],
    ['[a]{hmac_hex} over {body}', /brackets without/],
    ['[{hmac_hex}][{hmac_hex}] over {body}', /one pair/],
    ['{hmac_hex}] over {body}', /one pair/],
  ] as const) {
    t.match(mistakeInTemplate(wrong), words, wrong)
  }
})
