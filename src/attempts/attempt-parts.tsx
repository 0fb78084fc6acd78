import { phrase, say, type Text } from '../console/language.ts'
import { Badge, Body, Raw, Time } from '../console/parts.tsx'
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
            {phrase('in the batch {id}', { id: <code>{attempt.batch_id}</code> })}
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

export function RequestAndAnswer({ attempt }: { attempt: Attempt }) {
  const { number } = attempt
  return (
    <>
      <div class="columns">
        <section>
          <h4>{say('Request as sent')}</h4>
          <Headers
            text={attempt.request_headers}
            label={say('Headers of request {number}', { number })}
          />
        </section>
        <section>
          <h4>{say('Answer as received')}</h4>
          <Headers
            text={attempt.response_headers}
            label={say('Headers of answer {number}', { number })}
          />
          {attempt.response_body && (
            <Body of={attempt.response_body} label={say('Body of answer {number}', { number })} />
          )}
        </section>
      </div>
      <Timings {...attempt} />
    </>
  )
}

const WHY: Record<Attempt['trigger'], Text> = {
  schedule: 'by the schedule',
  manual: 'retried by a person',
  replay: 'by a replay',
  test: 'a test of the endpoint',
}

function Headers({ text, label }: { text: string | null; label: string }) {
  if (text === null) return <p class="muted">{say('None.')}</p>
  const headers = Object.entries(JSON.parse(text) as Record<string, string | string[]>)
  return (
    <Raw label={label}>
      {headers.map(([name, value]) => `${name}: ${[value].flat().join(', ')}`).join('\n')}
    </Raw>
  )
}

function Timings({ dns_ms, connect_ms, tls_ms, first_byte_ms, runner }: Attempt) {
  const phases = [
    ['name looked up', dns_ms],
    ['connected', connect_ms],
    ['TLS', tls_ms],
    ['Time to first byte', first_byte_ms],
  ] as const
  const took = phases.filter(([, ms]) => ms !== null)
  return (
    <p class="muted">
      {took.map(([name, ms]) => `${say(name)} ${spanOf(ms ?? 0)}`).join(', ') ||
        say('No times were taken')}{' '}
      · {phrase('by runner {name}', { name: <code>{runner}</code> })}
    </p>
  )
}
