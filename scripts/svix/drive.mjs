// Sends through the server with the published package, and receives what it sends: run by run.ts.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { Svix, Webhook } from 'svix'

const { SVIX_TOKEN: token, SVIX_SERVER_URL: serverUrl, SVIX_TYPES: types } = process.env
const svix = new Svix(token, { serverUrl })
const requests = []
const receiver = createServer(async (request, response) => {
  requests.push({ headers: request.headers, body: await text(request) })
  response.end()
  receiver.emit('received')
})
await once(receiver.listen(0, '127.0.0.1'), 'listening')

const uid = `js-${Date.now()}`
const app = await svix.application.getOrCreate({ name: 'JavaScript', uid })
assert.equal((await svix.application.getOrCreate({ name: 'Another', uid })).id, app.id)
await svix.eventType
  .create({ name: 'user.signup', description: 'A user has signed up' })
  .catch((error) => assert.equal(error.code, 409))
const endpoint = await svix.endpoint.create(uid, {
  url: `http://127.0.0.1:${receiver.address().port}/hook`,
  uid: 'hook',
  channels: ['one'],
  [types]: ['user.signup'],
})
assert.deepEqual(endpoint[types], ['user.signup'])
const { key } = await svix.endpoint.getSecret(uid, 'hook')

/** The next request, checked by the package. */
async function received(message, payload, secret) {
  while (requests.length === 0) await once(receiver, 'received')
  const { headers, body } = requests.shift()
  new Webhook(secret).verify(body, headers)
  assert.deepEqual(JSON.parse(body), payload)
  assert.equal(headers['svix-id'], message.id)
  assert.equal(headers['webhook-id'], message.id)
  assert.throws(() => new Webhook(secret).verify(`${body} `, headers))
}

/** Attempts are written down after they were answered. */
async function attemptsOf(message, count) {
  for (;;) {
    const { data } = await svix.messageAttempt.listByMsg(uid, message.id)
    if (data.length >= count) return data
  }
}

const payload = { user: 'Jürgen', big: 12345.5, list: [] }
const message = await svix.message.create(uid, {
  eventType: 'user.signup',
  eventId: 'first',
  channels: ['one', 'two'],
  payload,
})
await received(message, payload, key)
const [attempt] = await attemptsOf(message, 1)
assert.equal(attempt.status, 0)
assert.equal(attempt.endpointId, endpoint.id)
// 2.x leaves payloads out unless it is asked for them.
assert.deepEqual((await svix.message.get(uid, 'first', { withContent: true })).payload, payload)
await assert.rejects(
  svix.message.create(uid, { eventType: 'user.signup', eventId: 'first', payload }),
  { code: 409 },
)

await svix.endpoint.rotateSecret(uid, 'hook', {})
assert.notEqual((await svix.endpoint.getSecret(uid, 'hook')).key, key)
await svix.messageAttempt.resend(uid, message.id, endpoint.id)
await received(message, payload, key)
await attemptsOf(message, 2)

const { data } = await svix.message.list(uid, { limit: 1 })
assert.equal(data[0].id, message.id)
await svix.application.delete(uid)
await assert.rejects(svix.application.get(uid), { code: 404 })
receiver.close()
