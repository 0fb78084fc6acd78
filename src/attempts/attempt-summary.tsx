import { phrase, say, type Text } from '../console/language.ts'
import { Badge, Time } from '../console/parts.tsx'
import type { Area } from '../console/viewer.ts'
import { inWords, spanOf } from './attempt-words.ts'
import type { Attempt } from './attempts.ts'

/** What came of an attempt, in a line or two. */
export function AttemptSummary({ attempt, area }: { attempt: Attempt; area: Area }) {
  const { number, outcome, status_code: status, reason, duration_ms: ms } = attempt
  const words = inWords(attempt)
  // Where a name leads inside the operator's network is nothing for a customer.
  const detail = area === 'console' ? attempt.error_detail : null
  return (
    <>
      <h3>
        {say('Attempt {number}', { number })} <Badge of={outcome} />{' '}
        {status !== null && <span>HTTP {status}</span>}
        {ms !== null && <span class="muted">{say('in {span}', { span: spanOf(ms) })}</span>}
      </h3>
      <p>
        <Time at={attempt.started_at} /> <span class="muted">{say(WHY[attempt.trigger])}</span>
        {attempt.batch_id && (
          <span class="muted">
            {', '}
            {phrase('in the batch {id}', { id: <BatchId of={attempt.batch_id} area={area} /> })}
          </span>
        )}
      </p>
      {words !== null && (
        <p>
          {words}. {detail !== null && <span class="muted">{detail}. </span>}
          {reason !== null && <code>{reason}</code>}
        </p>
      )}
    </>
  )
}

/** Leads to what was sent with it; customers have no search. */
function BatchId({ of: id, area }: { of: string; area: Area }) {
  if (area === 'portal') return <code>{id}</code>
  return (
    <a href={`/console/search?q=${id}`} title="Deliveries of this batch">
      <code>{id}</code>
    </a>
  )
}

const WHY: Record<Attempt['trigger'], Text> = {
  schedule: 'scheduled',
  manual: 'manual retry',
  replay: 'replay',
  test: 'test event',
}
