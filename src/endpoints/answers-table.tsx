import { inWords, labelOf, spanOf } from '../attempts/attempt-words.ts'
import { type Column, DataTable } from '../console/data-table.tsx'
import { say, sayAny, sayNumber } from '../console/language.ts'
import { Badge, Table, Time } from '../console/parts.tsx'
import type { Area } from '../console/viewer.ts'
import type { EndpointAnswer, EndpointAnswers, FailureCause } from './endpoint-answers.ts'

/** What an endpoint answered last, and why attempts failed. */
export function Answers({ last, causes, area }: EndpointAnswers & { area: Area }) {
  if (last.length === 0) return null
  return (
    <>
      <h2>{say('Last responses')}</h2>
      <DataTable
        name="answers"
        label="Last responses"
        columns={COLUMNS}
        rows={last}
        hrefOf={({ deliveryId, number }) => `/${area}/deliveries/${deliveryId}/attempts/${number}`}
      />
      {causes.length > 0 && <Causes of={causes} />}
    </>
  )
}

const COLUMNS: Column<EndpointAnswer>[] = [
  { name: 'result', label: 'Result', kind: 'main', cell: resultOf },
  { name: 'outcome', label: 'Outcome', cell: ({ outcome }) => <Badge of={outcome} /> },
  {
    name: 'body',
    label: 'Response',
    kind: 'text',
    cell: ({ body }) => body && <code>{body}</code>,
  },
  { name: 'started', label: 'Sent', cell: ({ startedAt }) => <Time at={startedAt} /> },
]

/** Such as “HTTP 503 in 72 ms”. */
function resultOf(answer: EndpointAnswer): string {
  const { statusCode, durationMs, outcome } = answer
  const words = statusCode === null ? (inWords(answer) ?? sayAny(outcome)) : `HTTP ${statusCode}`
  return durationMs === null ? words : `${words} ${say('in {span}', { span: spanOf(durationMs) })}`
}

function Causes({ of: causes }: { of: readonly FailureCause[] }) {
  const all = causes.reduce((sum, { count }) => sum + count, 0)
  return (
    <>
      <h2>{say('Why attempts failed')}</h2>
      <Table label="Why attempts failed" head={['Cause', 'Attempts', 'Share']}>
        {causes.map(({ statusCode, reason, count }) => (
          <tr>
            <td>
              {statusCode === null
                ? sayAny(reason ? labelOf(reason) : 'Unreachable')
                : `HTTP ${statusCode}`}
            </td>
            <td class="number">{sayNumber(count)}</td>
            <td class="number">{sayNumber(Math.round((count / all) * 100))} %</td>
          </tr>
        ))}
      </Table>
    </>
  )
}
