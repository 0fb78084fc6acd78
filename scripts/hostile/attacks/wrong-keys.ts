import { type Attack, counted, type Finding, finding, notTried } from '../attack.ts'
import { describe } from '../client.ts'
import type { Field } from '../field.ts'

/** The service counts 60 of an address in a minute, in each process that answers here. */
const KEYS_MAX = 600
const KEYS_AT_ONCE = 50
/** 10 of an address in a minute. */
const SIGN_INS_MAX = 100

/** Last of all: for a minute, keys that are new to the service are held up that come from here. */
export const wrongKeys: Attack = {
  name: 'wrong keys',
  about: 'keys that are guessed, until no more are looked at; right ones still count (run last)',
  async *run(field) {
    yield* ofTheApi(field)
    yield* ofPeople(field)
  },
}

async function* ofTheApi({ send, attacker, run }: Field): AsyncGenerator<Finding> {
  const path = attacker.path()
  const seen: string[] = []
  let held = false
  for (let tried = 0; !held && tried < KEYS_MAX; tried += KEYS_AT_ONCE) {
    const guesses = Array.from({ length: KEYS_AT_ONCE }, (_, n) => `guess-${run}-${tried + n}`)
    const answers = await Promise.all(guesses.map((key) => send('GET', path, { key })))
    seen.push(...answers.map(describe))
    held = answers.some(({ status, headers }) => status === 429 && headers['retry-after'])
    if (answers.some(({ status }) => status !== 401 && status !== 429)) break
  }
  yield finding('wrong keys of the API, one after the other', held, counted(seen))
  const right = await attacker.send('GET', path)
  yield finding('the right key meanwhile', right.status === 200, describe(right))
}

async function* ofPeople({ send, run, adminKey }: Field): AsyncGenerator<Finding> {
  const signIn = (key: string) => send('POST', '/console/sign-in', { form: { key } })
  const first = await signIn(`guess-${run}`)
  if (first.status === 404)
    return yield notTried('wrong keys of people', 'there is no console here')
  const seen = [first]
  while (seen.at(-1)?.status === 422 && seen.length < SIGN_INS_MAX) {
    seen.push(await signIn(`guess-${run}-${seen.length}`))
  }
  const held = seen.at(-1)?.status === 429
  yield finding('wrong keys when signing in', held, counted(seen.map(describe)))
  const right = await signIn(adminKey)
  yield finding('the right key when signing in', right.status === 303, describe(right))
}
