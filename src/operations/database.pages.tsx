import type { Context, Hono } from 'hono'
import { spanOf } from '../attempts/attempt-words.ts'
import { cached } from '../console/cached.ts'
import { sayNumber } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, Notice, Table, Time } from '../console/parts.tsx'
import { percent } from '../console/tile.tsx'
import type { PageEnv } from '../console/viewer.ts'
import type { createDatabaseReport, DatabaseReport } from './database-report.ts'

const PATH = '/console/database'
/** Sizes change slowly, and reading them takes some 10 ms. */
const FRESH_MS = 10_000
/** Longer than anything of ours takes; while it lasts, dead rows pile up. */
const OPEN_SECONDS_MAX = 600
/** Of what has no such time, as slots: some ten minutes of a busy database. */
const HELD_TRANSACTIONS_MAX = 1_000_000
/** From here on the next deploy of a producer can find no connection. */
const CONNECTIONS_SHARE_MAX = 0.8

export interface DatabasePages {
  render: RenderPage
  reportDatabase: ReturnType<typeof createDatabaseReport>
}

export function addDatabasePage(app: Hono<PageEnv>, pages: DatabasePages): void {
  const report = cached(FRESH_MS, pages.reportDatabase)
  app.get('/database', async (c) => showPage(c, pages, await report()))
}

function showPage(c: Context<PageEnv>, { render }: DatabasePages, report: DatabaseReport) {
  const { bytes, connections, connectionsMax, readyUntil } = report
  return render(
    c,
    { title: 'Database', at: PATH },
    <>
      <h1>Database</h1>
      <p class="answer">
        {sizeOf(bytes)} on disk. {connections} of {connectionsMax} connections in use. Partitions
        are ready until {readyUntil ?? 'nobody knows when'}.
      </p>
      {warningsIn(report).map((warning) => (
        <Notice tone="bad">{warning}</Notice>
      ))}
      <h2>Tables</h2>
      <Tables tables={report.tables} />
      <h2>Days</h2>
      <p>Retention drops whole days, unless something still needs one.</p>
      {!report.isPlanRead && <p>The retention plan took too long to read.</p>}
      <Days days={report.days} isPlanRead={report.isPlanRead} />
      <h2>What holds vacuum back</h2>
      <Holders holders={report.holders} />
      <h2>Connections</h2>
      <Programs programs={report.programs} />
    </>,
  )
}

type Watched = Pick<
  DatabaseReport,
  'connections' | 'connectionsMax' | 'readyUntil' | 'notifyQueue' | 'holders'
>

/** What somebody has to do something about, a sentence each. */
export function warningsIn(report: Watched): string[] {
  const { connections, connectionsMax, readyUntil, notifyQueue, holders } = report
  const today = new Date().toISOString().slice(0, 10)
  const oldest = Math.max(0, ...holders.map(({ openSeconds }) => openSeconds ?? 0))
  const isFull = connections > connectionsMax * CONNECTIONS_SHARE_MAX
  return [
    readyUntil === null || readyUntil <= today
      ? 'No partition is ready for tomorrow. Runners create them: is one alive?'
      : null,
    isFull ? `${connections} of ${connectionsMax} connections are in use.` : null,
    oldest > OPEN_SECONDS_MAX
      ? `A transaction has been open for ${spanOf(oldest * 1_000)}. Vacuum removes nothing that is younger, and fetching jobs gets slower.`
      : null,
    ...holders.filter(isLeftBehind).map(({ kind, who, age }) => {
      return `The ${kind} ${who} has held vacuum back for ${sayNumber(age)} transactions. Is it still in use?`
    }),
    notifyQueue > 0.5
      ? `The notification queue is ${percent(notifyQueue)} full: a session that listens sits in a transaction.`
      : null,
  ].filter((warning) => warning !== null)
}

/** Nobody knows for how long a slot or a standby has held on, but by how much. */
const isLeftBehind = ({ openSeconds, age }: DatabaseReport['holders'][number]): boolean =>
  openSeconds === null && age > HELD_TRANSACTIONS_MAX

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const

/** Such as “1.2 GB”. */
export function sizeOf(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1)
  const size = bytes / 1_024 ** power
  return `${size < 10 && power > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[power]}`
}

const Tables = ({ tables }: Pick<DatabaseReport, 'tables'>) => (
  <Table label="Tables" head={['Table', 'Size', 'Rows', 'Dead rows', 'Last autovacuum']}>
    {tables.map(({ name, bytes, liveRows, deadRows, vacuumedAt }) => (
      <tr>
        <td>
          <code>{name}</code>
        </td>
        <td class="number">{sizeOf(bytes)}</td>
        <td class="number">{sayNumber(liveRows)}</td>
        <td class="number">{sayNumber(deadRows)}</td>
        <td>
          <Time at={vacuumedAt} />
        </td>
      </tr>
    ))}
  </Table>
)

const Days = ({ days, isPlanRead }: Pick<DatabaseReport, 'days' | 'isPlanRead'>) => (
  <Table label="Days" head={['Day (UTC)', 'Size', 'Rows', 'Retention']}>
    {days.map(({ day, bytes, rows, verdict, reason, isAttached }) => (
      <tr>
        <td>{day}</td>
        <td class="number">{sizeOf(bytes)}</td>
        <td class="number">{sayNumber(rows)}</td>
        <td>
          {!isAttached && <Badge of="held" label="Detaching" />}{' '}
          {verdict === 'drop' && 'Drops it with the next run.'}
          {verdict === 'keep' && `Keeps it: ${reason}.`}
          {verdict === null && isAttached && isPlanRead && (
            <span class="muted">Younger than the retention.</span>
          )}
        </td>
      </tr>
    ))}
  </Table>
)

function Holders({ holders }: Pick<DatabaseReport, 'holders'>) {
  if (holders.length === 0) return <p>Nothing.</p>
  return (
    <Table
      label="What holds vacuum back"
      head={['Kind', 'Who', 'Program', 'Open for', 'Transactions since', 'State']}
    >
      {holders.map(({ kind, who, detail, age, openSeconds, state }) => (
        <tr>
          <td>{kind}</td>
          <td>
            <code>{who}</code>
          </td>
          <td>{detail}</td>
          <td class="number">{openSeconds === null ? '–' : spanOf(openSeconds * 1_000)}</td>
          <td class="number">{sayNumber(age)}</td>
          <td>{state}</td>
        </tr>
      ))}
    </Table>
  )
}

const Programs = ({ programs }: Pick<DatabaseReport, 'programs'>) => (
  <Table label="Connections" head={['Program', 'Connections', 'Active', 'Idle in a transaction']}>
    {programs.map(({ name, connections, active, inTransaction }) => (
      <tr>
        <td>{name}</td>
        <td class="number">{connections}</td>
        <td class="number">{active ?? '–'}</td>
        <td class="number">{inTransaction ?? '–'}</td>
      </tr>
    ))}
  </Table>
)
