import t from 'tap'
import { createSecretBox, SecretUnreadable } from './secrets.ts'

const OLD = Buffer.alloc(32, 1)
const NEW = Buffer.alloc(32, 2)
const ENDPOINT = '01a20f5d-416d-71c8-a250-a3cce9634158'
const OTHER = '01a20f5d-416d-71c8-a250-a3cce9634159'
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

t.test('decrypts what it has encrypted, which never looks the same', async (t) => {
  const box = createSecretBox([NEW])
  const encrypted = box.encrypt(SECRET, ENDPOINT)
  t.match(encrypted, /^v1\.[0-9a-f]{8}\.[\w-]{16}\.[\w-]+$/)
  t.notMatch(encrypted, SECRET)
  t.not(box.encrypt(SECRET, ENDPOINT), encrypted)
  t.equal(box.decrypt(encrypted, ENDPOINT), SECRET)
  t.equal(box.decrypt(encrypted, ENDPOINT), SECRET, 'from the cache')
})

t.test('a key that was rotated out of the first place still decrypts', async (t) => {
  const before = createSecretBox([OLD]).encrypt(SECRET, ENDPOINT)
  const box = createSecretBox([NEW, OLD])
  t.equal(box.decrypt(before, ENDPOINT), SECRET)
  const after = box.encrypt(SECRET, ENDPOINT)
  t.equal(createSecretBox([NEW]).decrypt(after, ENDPOINT), SECRET, 'the first key encrypts')
  t.throws(() => createSecretBox([NEW]).decrypt(before, ENDPOINT), {
    name: 'SecretUnreadable',
    message: /SECRET_ENCRYPTION_KEY does not list the key [0-9a-f]{8}/,
  })
})

t.test('a secret that was copied to another endpoint is refused, cached or not', async (t) => {
  const box = createSecretBox([NEW])
  const encrypted = box.encrypt(SECRET, ENDPOINT)
  box.decrypt(encrypted, ENDPOINT)
  t.throws(() => box.decrypt(encrypted, OTHER), SecretUnreadable)
})

t.test('a changed, cut or foreign text is refused', async (t) => {
  const box = createSecretBox([NEW])
  const [version, id, nonce, sealed = ''] = box.encrypt(SECRET, ENDPOINT).split('.')
  const flipped = sealed.startsWith('A') ? `B${sealed.slice(1)}` : `A${sealed.slice(1)}`
  for (const text of [
    [version, id, nonce, flipped].join('.'),
    [version, id, nonce, sealed.slice(0, -8)].join('.'),
    [version, id, nonce, ''].join('.'),
    [version, id, 'AAAAAAAAAAAAAAAA', sealed].join('.'),
    [version, id, '', sealed].join('.'),
    ['v2', id, nonce, sealed].join('.'),
    SECRET,
    '',
  ]) {
    t.throws(() => box.decrypt(text, ENDPOINT), SecretUnreadable, text)
  }
})

t.test('takes keys of 32 bytes, at least one', async (t) => {
  t.throws(() => createSecretBox([]), RangeError)
  t.throws(() => createSecretBox([NEW, Buffer.alloc(16)]), RangeError)
})
