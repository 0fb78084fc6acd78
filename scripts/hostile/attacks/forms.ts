import { type Area, enterPortal } from '../areas.ts'
import { type Attack, counted, type Finding, finding, notTried } from '../attack.ts'
import { type Answer, type Call, describe } from '../client.ts'
import type { Field } from '../field.ts'

const form = { form: { name: 'x' } }
const elsewhere = (headers: Record<string, string>): Call => ({ ...form, headers })

/** As the browser of somebody who has signed in sends them, from a page that is not of this service. */
const FROM_ELSEWHERE: Call[] = [
  elsewhere({ origin: 'https://example.com' }),
  elsewhere({ origin: 'null' }),
  elsewhere({ origin: 'https://example.com', 'sec-fetch-site': 'cross-site' }),
  elsewhere({ origin: 'https://example.com', 'content-type': 'multipart/form-data; boundary=a' }),
  elsewhere({ origin: 'https://example.com', 'content-type': 'text/plain' }),
  elsewhere({ origin: 'https://example.com', 'content-type': 'application/json' }),
  elsewhere({ origin: '' }),
]

/** What no form of a page sends. */
const TYPES = ['application/json', 'text/plain', 'application/xml', 'application/x-www-form', '']

export const forms: Attack = {
  name: 'forms',
  about: 'every form from another site, without a session, and of another content type',
  async *run(field) {
    const areas = await field.areas()
    if (areas.length === 0) return yield notTried('forms', 'there are no pages here')
    for (const area of areas) {
      for (const action of area.actions) yield* tryForm(field, area, action)
    }
    yield* tryReadLink(field, areas)
    yield* tryFormTypes(field, areas)
  },
}

async function* tryForm({ send }: Field, area: Area, action: string): AsyncGenerator<Finding> {
  const { cookie } = area
  const all = await Promise.all(
    FROM_ELSEWHERE.map((call) => send('POST', action, { ...call, cookie })),
  )
  const held = all.every(({ status }) => [403, 415].includes(status))
  yield finding(`POST ${action} from another site`, held, counted(all.map(describe)))
  if (/sign-(?:in|out)$/.test(action)) return
  const answer = await send('POST', action, form)
  yield finding(`POST ${action} without a session`, isClosed(answer), describe(answer))
}

const isClosed = ({ status, headers }: Answer): boolean =>
  [401, 403].includes(status) || (status < 400 && /sign-in/.test(headers.location ?? ''))

/** Anyone who may only look has a session, and acts with it. */
async function* tryReadLink(field: Field, areas: Area[]): AsyncGenerator<Finding> {
  const portal = areas.find(({ owner }) => owner)
  if (!portal?.owner)
    return yield notTried('forms with a link that reads', 'no links are made here')
  const cookie = await enterPortal(field, portal.owner, { access: 'read' })
  for (const action of portal.actions.filter((path) => !path.endsWith('/sign-out'))) {
    const answer = await field.send('POST', action, { ...form, cookie: cookie ?? '' })
    yield finding(`POST ${action} with a link that reads`, answer.status === 403, describe(answer))
  }
}

async function* tryFormTypes({ send }: Field, areas: Area[]): AsyncGenerator<Finding> {
  for (const { actions, cookie } of areas) {
    for (const action of actions) {
      const headers = TYPES.map((type) => ({ 'content-type': type }))
      const all = await Promise.all(
        headers.map((one) => send('POST', action, { ...form, cookie, headers: one })),
      )
      const held = all.every(({ status }) => status === 415)
      yield finding(`POST ${action} that is no form`, held, counted(all.map(describe)))
    }
  }
}
