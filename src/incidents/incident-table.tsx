import { AttemptStrip } from '../attempts/attempt-strip.tsx'
import type { Strips } from '../attempts/attempt-strips.ts'
import { spanOf } from '../attempts/attempt-words.ts'
import { type Column, DataTable } from '../console/data-table.tsx'
import { urlWith } from '../console/forms.ts'
import { atMost } from '../console/language.ts'
import { Badge, Confirm, EndpointName, Time } from '../console/parts.tsx'
import { SelectBox } from '../replays/bulk-bar.tsx'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import { CAUSES, lastResponseOf } from './incident.fields.ts'
import { HELD_COUNTED_MAX, type Incident } from './incidents.ts'

export const INCIDENTS_PATH = '/console/incidents'

interface IncidentTableProps {
  incidents: readonly Incident[]
  strips: Strips
  mayAct: boolean
  /** Where a button leads back to. */
  from: 'home' | 'list'
}

/** Who is affected, since when and why, and what to press. Where nobody may act there is nothing to press. */
export function IncidentTable({ incidents, ...shown }: IncidentTableProps) {
  return (
    <DataTable
      name="incidents"
      label="Incidents"
      id="incidents"
      columns={incidentColumns(shown)}
      rows={incidents}
      hrefOf={({ id }) => `${INCIDENTS_PATH}/${id}`}
    />
  )
}

export const incidentColumns = ({
  strips,
  mayAct,
  from,
}: Omit<IncidentTableProps, 'incidents'>): Column<Incident>[] => [
  // What refreshes automatically would lose what is selected.
  ...(mayAct && from === 'list' ? [SELECT] : []),
  ...COLUMNS,
  {
    name: 'attempts',
    label: 'Last attempts',
    isMinor: true,
    cell: ({ endpoint_id: id }) => <AttemptStrip of={strips.get(id)} />,
  },
  ...(mayAct ? [actionOf(from)] : []),
]

const SELECT: Column<Incident> = {
  name: 'select',
  label: 'Select',
  cell: (incident) => (
    <SelectBox
      name={`i.${incident.id}`}
      tenantKey={incident.tenant_key}
      label={`${CAUSES[incident.cause].label} of ${incident.tenant_name}`}
    />
  ),
}

const COLUMNS: Column<Incident>[] = [
  { name: 'endpoint', label: 'Endpoint', kind: 'main', cell: (row) => <EndpointName {...row} /> },
  {
    name: 'customer',
    label: 'Customer',
    kind: 'name',
    cell: ({ tenant_key: key, tenant_name: name }) => <TenantLink of={key} name={name} />,
  },
  { name: 'cause', label: 'Cause', cell: Cause },
  {
    name: 'since',
    label: 'Since',
    cell: ({ first_seen_at: at, closed_at: closedAt }) => (
      <>
        <Time at={at} /> {closedAt && <span class="muted">closed</span>}
      </>
    ),
  },
  {
    name: 'held',
    label: 'On hold',
    kind: 'number',
    cell: (incident) => (
      <>
        {atMost(incident.held, HELD_COUNTED_MAX)} <InOrder {...incident} />
      </>
    ),
  },
  { name: 'response', label: 'Last response', cell: LastResponse },
]

/** What waits for an earlier event of its ordering key, with where that can be mended. */
function InOrder({ endpoint_id: endpoint, waiting }: Pick<Incident, 'endpoint_id' | 'waiting'>) {
  if (waiting === 0) return null
  return (
    <a
      href={`/console/endpoints/${endpoint}/keys`}
      title="They wait for an earlier event of their ordering key"
    >
      {atMost(waiting, HELD_COUNTED_MAX)} in order
    </a>
  )
}

const actionOf = (from: 'home' | 'list'): Column<Incident> => ({
  name: 'action',
  label: 'Action',
  cell: (incident) => <RowActions incident={incident} from={from} />,
})

function LastResponse(incident: Incident) {
  const said = lastResponseOf(incident)
  return said === null ? (
    <span class="muted">nothing was sent</span>
  ) : (
    <span class="answer" title={said}>
      {said}
    </span>
  )
}

function Cause({ cause, failures, verdict, endpoint_state: state }: Incident) {
  return (
    <>
      <span class="nowrap">
        {CAUSES[cause].label} ×{failures}
      </span>{' '}
      {verdict === 'ours' && <Badge of="open" label="Likely ours" />}
      {state !== 'active' && <Badge of={state} />}
    </>
  )
}

/** How long ago, with the exact time at hand. */
export function Since({ at }: { at: Date }) {
  const iso = at.toISOString()
  return (
    <time datetime={iso} title={`${iso.slice(0, 19).replace('T', ' ')} UTC`}>
      {spanOf(Math.max(0, Date.now() - at.getTime())).replace(/ \d+ s$/, '')}
    </time>
  )
}

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

type Remedies = Pick<
  Incident,
  'id' | 'tenant_key' | 'endpoint_id' | 'endpoint_state' | 'first_seen_at' | 'held' | 'can_probe'
>

const mayProbe = (incident: Remedies): boolean =>
  incident.endpoint_state === 'active' && incident.can_probe

function RowActions({ incident, from }: { incident: Incident; from: string }) {
  if (incident.closed_at) return null
  const best = helpsMost(incident)
  const path = `${INCIDENTS_PATH}/${incident.id}`
  const probe = mayProbe(incident) && (
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

/** What tries an endpoint again: one delivery at once, all that are on hold, or what has failed already. */
export function Remedy({ incident, from }: { incident: Remedies; from: string }) {
  const path = `${INCIDENTS_PATH}/${incident.id}`
  const isHeld = incident.endpoint_state === 'active' && incident.held > 0
  return (
    <>
      {mayProbe(incident) && (
        <Press action={`${path}/probe`} from={from} label="Probe now" isFirst />
      )}
      {isHeld && (
        <Confirm
          label="Release on hold"
          action={`${path}/release`}
          question="Send what is on hold, 100 a second? The circuit breaker opens again after 20 failures."
          yes="Release on hold"
        >
          <input type="hidden" name="from" value={from} />
        </Confirm>
      )}
      {!isHeld && (
        <a class="button" href={replayOf(incident)}>
          Replay deliveries
        </a>
      )}
    </>
  )
}

/** The form of a replay, filled in with what has failed since. */
const replayOf = ({ tenant_key: tenant, endpoint_id: endpoint, first_seen_at: at }: Remedies) =>
  urlWith('/console/replays', {
    ...{ tenant, endpoint, mode: 'redeliver' },
    since: at.toISOString().slice(0, 16),
  })
