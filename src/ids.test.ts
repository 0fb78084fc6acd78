import t from 'tap'
import { endpointId } from './ids.ts'

t.test('an id is a UUID, in lower case as Postgres writes it', async (t) => {
  t.equal(
    endpointId.parse('019ABCDE-0000-7000-8000-0123456789AB'),
    '019abcde-0000-7000-8000-0123456789ab',
  )
  for (const bad of ['', '1', 'ep_019abcde', '019abcde-0000-7000-8000-0123456789abc', 7, null]) {
    t.notOk(endpointId.safeParse(bad).success, `${bad} is refused`)
  }
})
