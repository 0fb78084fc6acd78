import { phrase, say } from '../console/language.ts'
import { Body, Raw } from '../console/parts.tsx'
import { phaseInWords, TimingBar } from './attempt-strip.tsx'
import type { Attempt } from './attempts.ts'

/** What was sent, what came back, and how long each phase took. */
export function RequestAndAnswer({ attempt }: { attempt: Attempt }) {
  const { number } = attempt
  return (
    <>
      <div class="columns">
        <section>
          <h4>{say('Request as sent')}</h4>
          <Headers
            text={attempt.request_headers}
            label={say('Request headers {number}', { number })}
          />
        </section>
        <section>
          <h4>{say('Response as received')}</h4>
          <Headers
            text={attempt.response_headers}
            label={say('Response headers {number}', { number })}
          />
          {attempt.response_body && (
            <Body of={attempt.response_body} label={say('Response body {number}', { number })} />
          )}
        </section>
      </div>
      <Timings {...attempt} />
    </>
  )
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
    ['DNS', dns_ms],
    ['Connect', connect_ms],
    ['TLS', tls_ms],
    ['Time to first byte', first_byte_ms],
  ] as const
  const took = phases.flatMap(([name, ms]) => (ms === null ? [] : [{ name, ms }]))
  return (
    <>
      <TimingBar of={took} />
      <p class="muted">
        {took.map(phaseInWords).join(', ') || say('No timings recorded')} ·{' '}
        {phrase('by runner {name}', { name: <code>{runner}</code> })}
      </p>
    </>
  )
}
