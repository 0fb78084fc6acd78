import { say, sayAny, sayNumber } from '../console/language.ts'
import { Badge, Id, Notice, Table, Time } from '../console/parts.tsx'
import type { Area } from '../console/viewer.ts'

/** What the filter and types would have said to an event of the tenant. */
export interface Tried {
  id: string
  type: string
  createdAt: Date
  matches: boolean
  why: string
}

/** What would have come of the last events, before anything is saved. */
function summaryOf(count: number, matching: number): string {
  if (count > 1)
    return say(
      'Of the last {count} events, {matching} would have been sent. Nothing is saved yet.',
      { count: sayNumber(count), matching: sayNumber(matching) },
    )
  return matching === 1
    ? say('The last event would be sent. Nothing is saved yet.')
    : say('The last event would not be sent. Nothing is saved yet.')
}

export function TriedTable({ tried, area }: { tried: readonly Tried[]; area: Area }) {
  if (tried.length === 0) {
    return <Notice tone="good">{say('There are no events yet to try this against.')}</Notice>
  }
  const matching = tried.filter(({ matches }) => matches).length
  return (
    <section aria-label={say('Tried against the last events')}>
      <Notice tone="good">{summaryOf(tried.length, matching)}</Notice>
      <Table
        label="Tried against the last events"
        head={['Event', 'Type', 'Published', 'Would be sent']}
      >
        {tried.map(({ id, type, createdAt, matches, why }) => (
          <tr>
            <td>
              <Id of={id} href={`/${area}/events/${id}`} isShort />
            </td>
            <td>{type}</td>
            <td>
              <Time at={createdAt} />
            </td>
            <td>
              <Badge of={matches ? 'delivered' : 'off'} label={matches ? 'yes' : 'no'} />{' '}
              {why && sayAny(why)}
            </td>
          </tr>
        ))}
      </Table>
    </section>
  )
}
