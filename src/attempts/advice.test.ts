import t from 'tap'
import { ATTEMPT_REASONS } from '../sending/reason.ts'
import { adviceOf } from './advice.ts'

t.test('every reason has advice, and a success has none', async (t) => {
  for (const reason of ATTEMPT_REASONS) {
    t.match(adviceOf({ reason, statusCode: null }), /^[A-Z].*\.$/, reason)
  }
  t.equal(adviceOf({ reason: null, statusCode: 200 }), null)
})

t.test('a status whose cause is known says more than its class', async (t) => {
  const of = (statusCode: number) => adviceOf({ reason: 'status_4xx', statusCode })
  t.match(of(401), 'secret')
  t.match(of(403), 'secret')
  t.match(of(404), 'path')
  t.equal(of(418), of(499))
  t.not(of(400), of(401))
})
