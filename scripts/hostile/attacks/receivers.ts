import { type Attack, type Finding, finding, notTried } from '../attack.ts'
import { type Answer, describe } from '../client.ts'
import type { Field } from '../field.ts'
import { ANSWERS, type HostileReceiver, startHostileReceiver } from '../receiver.ts'
import { takes } from './addresses.ts'
import { takeAway } from './settings.ts'

/** Characters of an answer that are kept, and some of what is around them. */
const KEPT_MAX = 20_000
/** Bytes of an endless answer that are taken, with what sockets hold. */
const TAKEN_BYTES_MAX = 64 * 1_048_576

/** A receiver that redirects, floods, hangs and lies, with a real delivery to each. */
export const receivers: Attack = {
  name: 'receivers',
  about: 'deliveries to receivers that redirect, flood, hang, lie and split; takes a runner',
  async *run(field) {
    await using receiver = await startHostileReceiver()
    if (!(await takes(field, receiver.url))) {
      return yield notTried('answers of receivers', 'this service does not dial the loopback')
    }
    const all = ANSWERS.map(({ name, about }) => tryAnswer(field, receiver, name, about))
    yield* await Promise.all(all)
    const reached = receiver.reached()
    yield finding('where redirects lead', reached === 0, `${reached} requests came`)
    const bytes = receiver.mostBytes()
    const megabytes = (bytes / 1_048_576).toFixed(1)
    yield finding('endless answers', bytes < TAKEN_BYTES_MAX, `at most ${megabytes} MB were taken`)
    const { status } = await field.send('GET', '/live')
    yield finding('the service afterwards', status === 200, String(status))
  },
}

async function tryAnswer(
  { attacker, signal }: Field,
  { url }: HostileReceiver,
  name: string,
  about: string,
): Promise<Finding> {
  signal.throwIfAborted()
  const body = { url: `${url}/${name}`, timeoutSeconds: 2, retrySchedule: [] }
  const made = await attacker.send('POST', attacker.path('/endpoints'), { body })
  if (made.status !== 201) return finding(`a receiver ${about}`, false, describe(made))
  const { id } = JSON.parse(made.text)
  const tested = await attacker.send('POST', attacker.path(`/endpoints/${id}/test`))
  await takeAway(attacker, made)
  return verdictOf(about, tested)
}

/** The attempt is over, and says so; of the answer a bounded part is kept. */
function verdictOf(about: string, tested: Answer): Finding {
  const tried = `a receiver ${about}`
  if (tested.status === 202) return notTried(tried, 'no runner made the attempt in time')
  if (tested.status !== 200) return finding(tried, false, describe(tested))
  const { outcome, statusCode, responseBody } = JSON.parse(tested.text)
  const kept = responseBody?.length ?? 0
  const held = outcome !== undefined && outcome !== 'started' && kept <= KEPT_MAX
  return finding(tried, held, `${outcome} ${statusCode ?? ''}, ${kept} characters kept`)
}
