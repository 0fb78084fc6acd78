/**
 * UUIDv7 written as KSUID with milliseconds, which is what ids of Svix are behind their prefix: 27 digits that sort as the
 * ids do and tell their time.
 *
 *   32 bits of seconds since 2014-05-13, 8 bits of 4 ms, then of 120 that are random in others: 2 bits of the millisecond,
 *   the 80 bits of the UUID behind its time, and 38 that are 0, by which ids of ours are known.
 */
const EPOCH_MS = 1_400_000_000_000n
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const BASE = 62n
const LENGTH = 27
const KSUID = /^[0-9A-Za-z]{27}$/
const SPARE_BITS = 38n
const REST_BITS = 80n
const VERSION_AND_VARIANT = /^.{14}7.{4}[89ab]/

/** What Svix calls a message: the `webhook-id` and `svix-id` of an event that is sent as Svix sends it. */
export const messageIdOf = (eventId: string): string => `msg_${ksuidOf(eventId)}`

/** @throws RangeError of an id from before 2014-05-13 or after 2150 */
export function ksuidOf(uuid: string): string {
  const bits = BigInt(`0x${uuid.replaceAll('-', '')}`)
  const ms = (bits >> REST_BITS) - EPOCH_MS
  const seconds = ms / 1000n
  if (ms < 0n || seconds >> 32n)
    throw new RangeError(`the time of ${uuid} is beyond those of KSUID`)
  const time = (((seconds << 8n) | ((ms % 1000n) / 4n)) << 2n) | (ms % 4n)
  return inDigits(((time << REST_BITS) | BigInt.asUintN(Number(REST_BITS), bits)) << SPARE_BITS)
}

/** Null where no id of ours is written so. */
export function uuidOfKsuid(ksuid: string): string | null {
  if (!KSUID.test(ksuid)) return null
  const value = [...ksuid].reduce((sum, digit) => sum * BASE + BigInt(DIGITS.indexOf(digit)), 0n)
  const time = value >> (REST_BITS + SPARE_BITS)
  const [seconds, fraction] = [time >> 10n, BigInt.asUintN(10, time)]
  if (BigInt.asUintN(Number(SPARE_BITS), value) !== 0n || fraction >= 1000n || seconds >> 32n) {
    return null
  }
  const rest = BigInt.asUintN(Number(REST_BITS), value >> SPARE_BITS)
  const bits = ((EPOCH_MS + seconds * 1000n + fraction) << REST_BITS) | rest
  const uuid = bits
    .toString(16)
    .padStart(32, '0')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  return VERSION_AND_VARIANT.test(uuid) ? uuid : null
}

function inDigits(value: bigint): string {
  let digits = ''
  for (let rest = value; rest > 0n; rest /= BASE)
    digits = DIGITS.charAt(Number(rest % BASE)) + digits
  return digits.padStart(LENGTH, '0')
}
