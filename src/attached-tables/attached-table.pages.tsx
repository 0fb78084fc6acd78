import type { Context, Hono } from 'hono'
import type { Child } from 'hono/jsx'
import { z } from 'zod'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, Command, Confirm, Empty, Table, Time } from '../console/parts.tsx'
import { type PageEnv, requireScope } from '../console/viewer.ts'
import { type AttachedTable, type Backfill, BackfillNotFound } from './attached-tables.ts'

const PATH = '/console/tables'

export interface AttachedTablePages {
  render: RenderPage
  attachedTables: {
    list(): Promise<AttachedTable[]>
    backfills(): Promise<Backfill[]>
    /** @throws BackfillNotFound */
    cancel(id: string, who: string): Promise<void>
  }
}

type C = Context<PageEnv>

export function addAttachedTablePages(app: Hono<PageEnv>, pages: AttachedTablePages): void {
  app.get('/tables', (c) => showTables(c, pages))
  app.post('/tables/backfills/:id/cancel', requireScope('admin'), async (c) => {
    const id = c.req.param('id')
    if (!z.guid().safeParse(id).success) throw new BackfillNotFound(`no backfill ${id} is running`)
    await pages.attachedTables.cancel(id, c.get('viewer').who)
    return c.redirect(PATH, 303)
  })
}

async function showTables(c: C, { render, attachedTables }: AttachedTablePages) {
  const tables = await attachedTables.list()
  const backfills = await attachedTables.backfills()
  return render(
    c,
    { title: 'Tables', at: PATH },
    <>
      <h1>Tables</h1>
      <p>An attached table publishes an event for each row that changes.</p>
      {tables.length === 0 ? <NoTables /> : <Tables tables={tables} />}
      {backfills.length > 0 && (
        <Progressing>
          <h2>Backfills</h2>
          <Backfills backfills={backfills} mayAct={c.get('viewer').may('admin')} />
        </Progressing>
      )}
    </>,
  )
}

function NoTables() {
  return (
    <Empty title="No attached tables">
      <p>Its owner attaches it:</p>
      <Command>
        select postrider.attach('public.invoice', type =&gt; 'invoice', tenant =&gt; 'account_key');
      </Command>
    </Empty>
  )
}

function Tables({ tables }: { tables: readonly AttachedTable[] }) {
  return (
    <Table
      label="Tables"
      head={['Table', 'State', 'Event types', 'Tenant', 'Data', 'Ordering key', 'When', 'Attached']}
    >
      {tables.map((attached) => (
        <tr>
          <td>
            <code>{attached.table}</code>
          </td>
          <td>{attached.problem ?? 'publishes'}</td>
          <td>
            <code>
              {attached.type}.{attached.events.join(', .')}
            </code>
          </td>
          <Expression of={attached.tenant} />
          <Expression of={attached.data} empty="all columns" />
          <Expression of={attached.orderingKey} />
          <Expression of={attached.when} />
          <td>
            <Time at={attached.attachedAt} /> by {attached.owner}
          </td>
        </tr>
      ))}
    </Table>
  )
}

function Expression({ of, empty = 'none' }: { of: string | null; empty?: string }) {
  return <td>{of === null ? <span class="muted">{empty}</span> : <code>{of}</code>}</td>
}

/** What the browser asks for again and again. */
function Progressing({ children }: { children?: Child }) {
  return (
    <div
      id="backfills"
      hx-get={PATH}
      hx-trigger="every 2s"
      hx-select="#backfills"
      hx-swap="outerMorph"
    >
      {children}
    </div>
  )
}

function Backfills({ backfills, mayAct }: { backfills: readonly Backfill[]; mayAct: boolean }) {
  return (
    <Table label="Backfills" head={['Table', 'State', 'Progress', 'By', 'Started', 'Action']}>
      {backfills.map((backfill) => (
        <tr>
          <td>
            <code>{backfill.table}</code>
          </td>
          <td>
            <Badge of={backfill.state} /> {backfill.error}
          </td>
          <td>
            <Progress {...backfill} />
          </td>
          <td>{backfill.requestedBy}</td>
          <td>
            <Time at={backfill.createdAt} />
          </td>
          <td>
            {mayAct && backfill.state === 'running' && (
              <Confirm
                label="Cancel"
                action={`${PATH}/backfills/${backfill.id}/cancel`}
                question="Published events are still delivered. No more are published."
                yes="Cancel backfill"
                isDangerous
              />
            )}
          </td>
        </tr>
      ))}
    </Table>
  )
}

function Progress({ table, state, read, total, published, isAutomatic }: Backfill) {
  const max = Math.max(total, read, 1)
  return (
    <>
      {state === 'running' && (
        <progress value={read} max={max} aria-label={`Progress of ${table}`} />
      )}{' '}
      {read} of {total} {total === 1 ? 'row' : 'rows'}, {published}{' '}
      {published === 1 ? 'event' : 'events'}
      {state === 'running' && !isAutomatic && (
        <span class="muted"> · continued by a session of the owner</span>
      )}
    </>
  )
}
