import { adviceOf } from '../attempts/advice.ts'
import { inWords } from '../attempts/attempt-words.ts'
import { phrase, say, sayAny, sayNumber } from '../console/language.ts'
import { Notice, Time } from '../console/parts.tsx'
import type { EndpointAnswer } from './endpoint-answers.ts'
import { failingSinceOf } from './endpoint-state.tsx'
import type { FoundEndpoint } from './endpoints.ts'

/** How a customer gets what is on hold. @param countedMax the count stands for that many or more */
export function releasedByTest(held: number, countedMax: number): string {
  if (held === 1) {
    return say('Send a test event. If it succeeds, the delivery on hold is sent.')
  }
  const count = held >= countedMax ? `${sayNumber(held)}+` : sayNumber(held)
  return say('Send a test event. If it succeeds, the {count} deliveries on hold are sent.', {
    count,
  })
}

interface FailingProps {
  endpoint: FoundEndpoint
  /** The newest first. */
  answers: readonly EndpointAnswer[]
  held: number
  heldCountedMax: number
  mayManage: boolean
}

/** To a customer: since when and why the endpoint fails, and what helps. */
export function Failing({ endpoint, answers, held, heldCountedMax, mayManage }: FailingProps) {
  if (endpoint.state !== 'active') return null
  if (endpoint.unreadable_since) {
    return <Notice tone="bad">{say('Contact the operator of the service.')}</Notice>
  }
  const since = failingSinceOf(endpoint)
  if (since === null) return null
  const failed = answers.find((answer) => adviceOf(answer) !== null)
  const [words, advice] = [failed && inWords(failed), failed && adviceOf(failed)]
  return (
    <Notice tone="bad">
      <p>
        {phrase('This endpoint has been failing since {time}.', { time: <Time at={since} /> })}{' '}
        {words && `${words}. `}
        {advice && sayAny(advice)}
      </p>
      {endpoint.circuitOpenedAt && held > 0 && mayManage && (
        <p>{releasedByTest(held, heldCountedMax)}</p>
      )}
    </Notice>
  )
}
