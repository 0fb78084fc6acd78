import type { Context, Hono } from 'hono'
import type { Setting } from '../config/config.ts'
import { cached } from '../console/cached.ts'
import { withCode } from '../console/fields.tsx'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, Command, Id, Notice, Table } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import { isListed, listedFor } from '../tenants/listed-tenants.ts'
import type { Tenants } from '../tenants/tenants.ts'
import type { ServerReport } from './server-report.ts'
import type { Violation } from './violations.ts'

/** A check costs the database seconds, so anyone who asks in the same half minute gets the same answer. */
const FRESH_MS = 30_000

export interface SettingsPages {
  render: RenderPage
  settings: readonly Setting[]
  /** The server, and every breach of the promises that a short check finds. */
  check: () => Promise<Checked>
  tenants: Pick<Tenants, 'reservedIds'>
}

/** What a check has found. */
interface Checked {
  server: ServerReport
  violations: readonly Violation[]
}

export function addSettingsPages(app: Hono<PageEnv>, pages: SettingsPages): void {
  const check = cached(FRESH_MS, pages.check)
  app.get('/settings', (c) => showSettings(c, pages))
  app.get('/doctor', async (c) => {
    if (c.req.query('check') !== 'now') return showDoctor(c, pages, null)
    const listed = await listedFor(c.get('viewer').caller, pages.tenants)
    const { server, violations } = await check()
    const shown = violations.filter(({ tenantId }) => isListed(listed, tenantId))
    return showDoctor(c, pages, { server, violations: shown })
  })
}

function showSettings(c: Context<PageEnv>, { render, settings }: SettingsPages) {
  return render(
    c,
    { title: 'Settings', at: '/console/settings' },
    <>
      <h1>Settings in effect</h1>
      <p>
        The environment variables of this API process, read when it started. Runners have their own.
      </p>
      <SettingTable settings={settings} />
    </>,
  )
}

function SettingTable({ settings }: Pick<SettingsPages, 'settings'>) {
  return (
    <Table label="Settings" head={['Variable', 'Value', 'Default', 'Meaning']}>
      {settings.map(({ name, value, default: fallback, unit, meaning }) => (
        <tr>
          <td>
            <code>{name}</code>
          </td>
          <td>{value === null ? <span class="muted">default</span> : <code>{value}</code>}</td>
          <td>
            {withCode(fallback)} {unit}
          </td>
          <td>{withCode(meaning)}</td>
        </tr>
      ))}
    </Table>
  )
}

/** @param checked null = nobody has asked */
function showDoctor(c: Context<PageEnv>, { render }: SettingsPages, checked: Checked | null) {
  return render(
    c,
    { title: 'Doctor', at: '/console/doctor' },
    <>
      <h1>Doctor</h1>
      <p>
        Finds what is lost, stuck, or missing from the audit log. This page checks the newest
        deliveries of the last day. The command checks all of them, and repairs what can be
        repaired:
      </p>
      <Command>scripts/postrider doctor --repair</Command>
      <CheckNow />
      {checked && <Server {...checked.server} />}
      {checked && <Findings {...checked} />}
    </>,
  )
}

function CheckNow() {
  return (
    <p>
      <a class="button primary" href="/console/doctor?check=now">
        Check now
      </a>
    </p>
  )
}

function Server({ address, timeline, failovers, warnings }: ServerReport) {
  return (
    <>
      <p>
        Server <code>{address}</code>, primary{timeline === null ? '' : `, timeline ${timeline}`}.
      </p>
      {failovers
        .filter(({ isLossless }) => isLossless)
        .map(({ text }) => (
          <p>{sentence(text)}</p>
        ))}
      {warnings.map((text) => (
        <Notice tone="bad">{sentence(text)}</Notice>
      ))}
    </>
  )
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`

/** What the id of a finding is of; of any other kind there is no page. */
const OF_DELIVERIES = [
  ...['open_without_job', 'delivering_without_runner', 'attempt_missing', 'final_without_attempt'],
  ...['held_without_reason', 'event_missing', 'newest_missing'],
]
const LISTS: Record<string, string> = {
  ...Object.fromEntries(OF_DELIVERIES.map((kind) => [kind, 'deliveries'])),
  ...{ secret_unreadable: 'endpoints', probe_overdue: 'endpoints' },
  ...{ delivery_missing: 'events', routing_overdue: 'events', replay_without_job: 'replays' },
}

function placeOf(kind: string, id: string): { href?: string } {
  if (kind === 'line_stuck') return { href: `/console/endpoints/${id}/keys` }
  const list = Object.hasOwn(LISTS, kind) ? LISTS[kind] : undefined
  return list === undefined ? {} : { href: `/console/${list}/${id}` }
}

function Findings({ server, violations }: Checked) {
  if (violations.length === 0) {
    const isKnown = server.failovers.every(({ isLossless }) => isLossless)
    return isKnown ? (
      <Notice tone="good">Nothing is lost or stuck.</Notice>
    ) : (
      <Notice tone="busy">
        Nothing is lost or stuck, as far as can be seen after the failover.
      </Notice>
    )
  }
  return (
    <>
      <Notice tone="bad">Problems found: {violations.length}.</Notice>
      <Table label="Findings" head={['Kind', 'ID', 'Detail']}>
        {violations.map(({ kind, id, detail }) => (
          <tr>
            <td>
              <Badge of="failed" label={kind} />
            </td>
            <td>
              <Id of={id} {...placeOf(kind, id)} />
            </td>
            <td>{detail}</td>
          </tr>
        ))}
      </Table>
    </>
  )
}
