import t from 'tap'
import { ksuidOf, messageIdOf, uuidOfKsuid } from './ksuid.ts'

/** @param ms of its time */
const uuidAt = (ms: number, rest = '7abc-8def-0123456789ab') => {
  const time = ms.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-${rest}`
}
const EPOCH_MS = 1_400_000_000_000
const LAST_MS = EPOCH_MS + 2 ** 32 * 1000 - 1

t.test('every id can be read back from its KSUID, which sorts as the id does', async (t) => {
  const times = [EPOCH_MS, EPOCH_MS + 1, EPOCH_MS + 999, EPOCH_MS + 1000, LAST_MS - 1, LAST_MS]
  const rests = ['7000-8000-000000000000', '7000-8000-000000000001', '7fff-bfff-ffffffffffff']
  const uuids = [...times, ...Array.from({ length: 40 }, (_, n) => 1_790_000_000_000 + n)]
    .flatMap((ms) => rests.map((rest) => uuidAt(ms, rest)))
    .toSorted()
  const ksuids = uuids.map(ksuidOf)
  t.strictSame(ksuids.map(uuidOfKsuid), uuids)
  t.strictSame(ksuids.toSorted(), ksuids)
  t.equal(new Set(ksuids).size, uuids.length)
  t.ok(ksuids.every((ksuid) => /^[0-9A-Za-z]{27}$/.test(ksuid)))
  t.equal(messageIdOf(uuids[0] ?? ''), `msg_${ksuids[0]}`)
})

t.test('seconds, and steps of 4 ms, stand where readers of KSUID look for them', async (t) => {
  const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
  const ksuid = ksuidOf(uuidAt(1_700_000_123_457))
  const value = [...ksuid].reduce((sum, one) => sum * 62n + BigInt(digits.indexOf(one)), 0n)
  t.equal(Number(value >> 128n), 1_700_000_123 - 1_400_000_000)
  t.equal(Number((value >> 120n) & 255n), Math.floor(457 / 4))
})

t.test('what is no id of ours is none', async (t) => {
  const ours = ksuidOf(uuidAt(1_700_000_000_000))
  const foreign = ['', 'x', '0'.repeat(27), 'z'.repeat(27), `${ours}0`, ours.slice(1), ` ${ours}`]
  // One of Svix has random bits to its end.
  foreign.push('2Z5kV6lYc1o1kzqYc8Yl8gk9JwE', ours.slice(0, -1) + (ours.endsWith('a') ? 'b' : 'a'))
  for (const text of foreign) t.equal(uuidOfKsuid(text), null, text)
  const ofAnotherVersion = ksuidOf(uuidAt(1_700_000_000_000, '4abc-8def-0123456789ab'))
  t.equal(uuidOfKsuid(ofAnotherVersion), null)
  for (const ms of [EPOCH_MS - 1, LAST_MS + 1]) t.throws(() => ksuidOf(uuidAt(ms)), RangeError)
})
