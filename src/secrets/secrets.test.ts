import t from 'tap'
import { createSecretBox, SecretUnreadable } from './secrets.ts'

const OLD = Buffer.alloc(32, 1)
const NEW = Buffer.alloc(32, 2)
const ENDPOINT = '01a20f5d-416d-71c8-a250-a3cce9634158'
const OTHER = '01a20f5d-416d-71c8-a250-a3cce9634159'
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const SIGNING = 'signing-secret'

t.test('decrypts what it has encrypted, which never looks the same', async (t) => {
  const box = createSecretBox([NEW])
  const encrypted = box.encrypt(SECRET, ENDPOINT, SIGNING)
  t.match(encrypted, /^v2\.[0-9a-f]{8}\.[\w-]{16}\.[\w-]+$/)
  t.notMatch(encrypted, SECRET)
  t.not(box.encrypt(SECRET, ENDPOINT, SIGNING), encrypted)
  t.equal(box.decrypt(encrypted, ENDPOINT, SIGNING), SECRET)
  t.equal(box.decrypt(encrypted, ENDPOINT, SIGNING), SECRET, 'from the cache')
})

t.test('a key that was rotated out of the first place still decrypts', async (t) => {
  const before = createSecretBox([OLD]).encrypt(SECRET, ENDPOINT, SIGNING)
  const box = createSecretBox([NEW, OLD])
  t.equal(box.decrypt(before, ENDPOINT, SIGNING), SECRET)
  const after = box.encrypt(SECRET, ENDPOINT, SIGNING)
  t.equal(
    createSecretBox([NEW]).decrypt(after, ENDPOINT, SIGNING),
    SECRET,
    'the first key encrypts',
  )
  t.throws(() => createSecretBox([NEW]).decrypt(before, ENDPOINT, SIGNING), {
    name: 'SecretUnreadable',
    message: /SECRET_ENCRYPTION_KEY does not list the key [0-9a-f]{8}/,
  })
})

t.test('a secret that was copied to another endpoint is refused, cached or not', async (t) => {
  const box = createSecretBox([NEW])
  const encrypted = box.encrypt(SECRET, ENDPOINT, SIGNING)
  box.decrypt(encrypted, ENDPOINT, SIGNING)
  t.throws(() => box.decrypt(encrypted, OTHER, SIGNING), SecretUnreadable)
})

t.test('a changed, cut or foreign text is refused', async (t) => {
  const box = createSecretBox([NEW])
  const [version, id, nonce, sealed = ''] = box.encrypt(SECRET, ENDPOINT, SIGNING).split('.')
  const flipped = sealed.startsWith('A') ? `B${sealed.slice(1)}` : `A${sealed.slice(1)}`
  for (const text of [
    [version, id, nonce, flipped].join('.'),
    [version, id, nonce, sealed.slice(0, -8)].join('.'),
    [version, id, nonce, ''].join('.'),
    [version, id, 'AAAAAAAAAAAAAAAA', sealed].join('.'),
    [version, id, '', sealed].join('.'),
    ['v1', id, nonce, sealed].join('.'),
    ['v3', id, nonce, sealed].join('.'),
    SECRET,
    '',
  ]) {
    t.throws(() => box.decrypt(text, ENDPOINT, SIGNING), SecretUnreadable, text)
  }
})

t.test('takes keys of 32 bytes, at least one', async (t) => {
  t.throws(() => createSecretBox([]), RangeError)
  t.throws(() => createSecretBox([NEW, Buffer.alloc(16)]), RangeError)
})

t.test('a secret is opened for its purpose only, cached or not', async (t) => {
  const box = createSecretBox([NEW])
  const encrypted = box.encrypt(SECRET, ENDPOINT, 'header:authorization')
  t.equal(box.decrypt(encrypted, ENDPOINT, 'header:authorization'), SECRET)
  for (const purpose of [SIGNING, 'client-key', 'header:x-key'] as const) {
    t.throws(() => box.decrypt(encrypted, ENDPOINT, purpose), SecretUnreadable, purpose)
  }
})

t.test('what another key has encrypted is not current', async (t) => {
  const box = createSecretBox([NEW, OLD])
  t.ok(box.isCurrent(box.encrypt(SECRET, ENDPOINT, SIGNING)))
  t.notOk(box.isCurrent(createSecretBox([OLD]).encrypt(SECRET, ENDPOINT, SIGNING)))
})
