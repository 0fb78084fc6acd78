import { spanOf } from '../attempts/attempt-words.ts'
import { Badge, EndpointName, Table, Time } from '../console/parts.tsx'
import { SelectBox } from '../replays/bulk-bar.tsx'
import { CAUSES, lastResponseOf } from './incident.fields.ts'
import { HELD_COUNTED_MAX, type Incident } from './incidents.ts'

export const INCIDENTS_PATH = '/console/incidents'

const HEAD = ['Endpoint', 'Customer', 'Cause', 'Since', 'On hold', 'Last response']

interface IncidentTableProps {
  incidents: readonly Incident[]
  mayAct: boolean
  /** Where a button leads back to. */
  from: 'home' | 'list'
}

/** Who is affected, since when and why, and what to press. Where nobody may act there is nothing to press. */
export function IncidentTable(props: IncidentTableProps) {
  const { incidents, mayAct, from } = props
  // What refreshes by itself would lose what is selected.
  const isSelectable = mayAct && from === 'list'
  return (
    <Table label="Incidents" id="incidents" head={headOf(mayAct, isSelectable)}>
      {incidents.map((incident) => (
        <tr>
          {isSelectable && (
            <td>
              <SelectBox
                name={`i.${incident.id}`}
                tenantKey={incident.tenant_key}
                label={`${CAUSES[incident.cause].label} of ${incident.tenant_name}`}
              />
            </td>
          )}
          <td>
            <EndpointName {...incident} href={`${INCIDENTS_PATH}/${incident.id}`} />
          </td>
          <td>
            <a href={`/console/tenants/${incident.tenant_key}`}>{incident.tenant_name}</a>
          </td>
          <td>
            <Cause {...incident} />
          </td>
          <td class="nowrap">
            <Time at={incident.first_seen_at} />
            {incident.closed_at && <div class="muted">closed</div>}
          </td>
          <td class="number">{atMost(incident.held, HELD_COUNTED_MAX)}</td>
          <td class="answer">
            {lastResponseOf(incident) ?? <span class="muted">nothing was sent</span>}
          </td>
          {mayAct && (
            <td>
              <RowActions incident={incident} from={from} />
            </td>
          )}
        </tr>
      ))}
    </Table>
  )
}

function Cause({ cause, failures, verdict, endpoint_state: state }: Incident) {
  return (
    <>
      <span class="nowrap">
        {CAUSES[cause].label} ×{failures}
      </span>{' '}
      {verdict === 'ours' && <Badge of="open" label="likely ours" />}
      {state !== 'active' && <Badge of={state} />}
    </>
  )
}

const headOf = (mayAct: boolean, isSelectable: boolean) => [
  ...(isSelectable ? ['Select'] : []),
  ...HEAD,
  ...(mayAct ? ['Action'] : []),
]

/** How long ago, with the exact time at hand. */
export function Since({ at }: { at: Date }) {
  const iso = at.toISOString()
  return (
    <time datetime={iso} title={`${iso.slice(0, 19).replace('T', ' ')} UTC`}>
      {spanOf(Math.max(0, Date.now() - at.getTime())).replace(/ \d+ s$/, '')}
    </time>
  )
}

export const atMost = (count: number, max: number): string =>
  count >= max ? `${max.toLocaleString('en')}+` : count.toLocaleString('en')

/** What most likely helps: the customer has to change something, or the receiver may be back. */
const helpsMost = ({ cause, verdict }: Incident): 'notify' | 'probe' =>
  verdict === 'theirs' && !RECOVERS.has(cause) ? 'notify' : 'probe'

/** Without anybody changing the endpoint. */
const RECOVERS = new Set<Incident['cause']>([
  'server_error',
  'timeout',
  'unreachable',
  'dns',
  'ours',
])

function RowActions({ incident, from }: { incident: Incident; from: string }) {
  if (incident.closed_at) return null
  const best = helpsMost(incident)
  const path = `${INCIDENTS_PATH}/${incident.id}`
  const probe = incident.endpoint_state === 'active' && (
    <Press action={`${path}/probe`} from={from} label="Probe now" isFirst={best === 'probe'} />
  )
  const notify = (
    <a class={best === 'notify' ? 'button primary' : 'button'} href={`${path}#notify`}>
      Notify customer
    </a>
  )
  return (
    <div class="row">
      {best === 'probe' ? [probe, notify] : [notify, probe]}
      {incident.acknowledged_by === null ? (
        <Press action={`${path}/acknowledge`} from={from} label="Acknowledge" />
      ) : (
        <span class="muted">Acknowledged by {incident.acknowledged_by}</span>
      )}
    </div>
  )
}

/** A button that acts at once: it can be pressed again without harm. */
export function Press(props: { action: string; from: string; label: string; isFirst?: boolean }) {
  const { action, from, label, isFirst = false } = props
  return (
    <form method="post" action={action}>
      <input type="hidden" name="from" value={from} />
      <button type="submit" class={isFirst ? 'primary' : undefined}>
        {label}
      </button>
    </form>
  )
}
