/**
 * `npm run bench`: the short set, in under five minutes. A line of JSON a result on stdout, and a
 * table at the end on stderr. Figures of other machines, or of another time, are not comparable.
 */

import { measureBatches } from './batch.ts'
import { measureLatency } from './latency.ts'
import type { Figures } from './measure/measure.ts'
import { type Report, renderTable, startReport } from './measure/report.ts'
import { SLOW_MS } from './measure/trials.ts'
import { type Cleanup, runProgram } from './program.ts'
import { measureScaling } from './scaling.ts'
import { measureSlowReceivers } from './slow-receivers.ts'
import { type Server, startServer } from './systems/server.ts'
import { measureThroughput, THROUGHPUT } from './throughput.ts'

const BYTES = THROUGHPUT.bytes
const RATE = 100
const SECONDS = 15
const MINUTES_MAX = 10

type Row = readonly [what: string, figures: Partial<Figures>]

/** Each on a fresh database with fresh processes. */
async function runAll(
  cleanup: Cleanup,
  server: Server,
  report: (program: string) => Promise<Report>,
) {
  const throughput = { ...THROUGHPUT, events: 5000 }
  const latency = { rate: RATE, seconds: SECONDS, bytes: BYTES }
  const slow = { ...latency, delay: SLOW_MS }
  const rows: Row[] = []
  const note = async (
    what: string,
    program: string,
    settings: object,
    figures: Partial<Figures>,
  ) => {
    const print = await report(program)
    print(figures, { ...settings })
    rows.push([what, figures])
  }
  const at = (name: string) => ({ server, name })

  const closed = await measureThroughput(cleanup, at('throughput'), throughput)
  await note('closed loop, 32 connections', 'throughput', throughput, closed)
  const open = await measureLatency(cleanup, at('latency'), latency)
  await note(`${RATE} events/s`, 'latency', latency, open)
  const waiting = await measureSlowReceivers(cleanup, at('slow'), slow)
  await note(`${RATE} events/s, receivers take 2 s`, 'slow-receivers', slow, waiting)
  await runScaling(cleanup, server, note)
  await runBatches(cleanup, server, note)
  return rows
}

type Note = (what: string, program: string, settings: object, figures: object) => Promise<void>

async function runScaling(cleanup: Cleanup, server: Server, note: Note): Promise<void> {
  for (const runners of [1, 2, 4]) {
    const settings = { runners, delay: 20, concurrency: 10, events: 2000, bytes: BYTES }
    const figures = await measureScaling(cleanup, { server, name: `scaling_${runners}` }, settings)
    await note(
      `${runners} runners of 10 in flight, receivers take 20 ms`,
      'scaling',
      settings,
      figures,
    )
  }
}

async function runBatches(cleanup: Cleanup, server: Server, note: Note): Promise<void> {
  const settings = { batches: 10, transactions: 200, bytes: BYTES }
  for (const result of await measureBatches(cleanup, { server, name: 'batch' }, settings)) {
    await note(describeBatch(result as Record<string, unknown>), 'batch', settings, result)
  }
}

/** Their figures are not those of the columns. */
function describeBatch(result: Record<string, unknown>): string {
  const { way, events_per_s: rate, added_ms_p50: added, skipped } = result
  return `${way}: ${skipped ?? (rate === undefined ? `+${added} ms` : `${rate} events/s`)}`
}

function tableOf(rows: readonly Row[]): string {
  const head = [
    '',
    'accepted/s',
    '202 p50/p99 ms',
    'delivered/s',
    'publish to receive p50/p99 ms',
    'lost',
    'repeated',
  ]
  return renderTable([head, ...rows.map(cellsOf)])
}

function cellsOf([what, figures]: Row): string[] {
  const { accepted_per_s, delivered_per_s, lost, repeated } = figures
  const pair = (of: Figures['answer_ms'] | undefined) => (of ? `${of.p50} / ${of.p99}` : '')
  return [
    what,
    accepted_per_s,
    pair(figures.answer_ms),
    delivered_per_s,
    pair(figures.publish_to_receive_ms),
    lost,
    repeated,
  ].map((cell) => String(cell ?? ''))
}

await runProgram(
  async (cleanup) => {
    const server = await startServer(cleanup)
    const rows = await runAll(cleanup, server, (program) => startReport(program, server))
    console.error(`\n${tableOf(rows)}`)
  },
  { minutesMax: MINUTES_MAX },
)
