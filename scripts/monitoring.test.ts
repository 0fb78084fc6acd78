import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { createMetrics } from '../src/metrics.ts'
import { watchQueue } from '../src/queue/queue-metrics.ts'
import { missing } from '../src/testing/programs.ts'
import { createTestDatabase } from '../src/testing/wiring/database.ts'

const { pool } = await createTestDatabase(t)

const folder = join(import.meta.dirname, '../docs/monitoring')
const [metrics, alerts] = ['../reference/metrics.md', '../runbooks/alerts.md'].map((page) =>
  readFileSync(join(folder, page), 'utf8'),
) as [string, string]
const read = (file: string) => readFileSync(join(folder, file), 'utf8')

interface Rule {
  alert: string
  expr: string
  annotations: { runbook_url: string }
}
const rules: Rule[] = parse(read('rules.yml')).groups[0].rules

interface Panel {
  id: number
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { expr: string }[]
}
const dashboard: { panels: Panel[] } = JSON.parse(read('dashboard.json'))
const expressions = [
  ...rules.map(({ expr }) => expr),
  ...dashboard.panels.flatMap(({ targets }) => targets ?? []).map(({ expr }) => expr),
]

/** Name → labels of all that a process exports, histograms with their three series. */
async function exported(): Promise<Map<string, Set<string>>> {
  const { registry } = createMetrics({ version: '1' })
  watchQueue(registry, pool)
  const names = new Map<string, Set<string>>()
  for (const { name, type } of await registry.getMetricsAsJSON()) {
    const metric = registry.getSingleMetric(name) as unknown as { labelNames: string[] }
    const isHistogram = String(type) === 'histogram'
    for (const suffix of isHistogram ? ['_bucket', '_sum', '_count'] : ['']) {
      names.set(name + suffix, new Set([...metric.labelNames, ...(isHistogram ? ['le'] : [])]))
    }
  }
  return names
}

/** What Prometheus adds by itself. */
const OF_PROMETHEUS = { names: ['up'], labels: ['job', 'instance'] }
const METRIC = /\b(up|(?:postrider|nodejs|process)_[a-z0-9_]+)\b(?:\{([^}]*)\})?/g

t.test('what dashboard and rules ask for is exported, with these labels', async (t) => {
  const names = await exported()
  const asked = expressions.flatMap((expr) => [...expr.matchAll(METRIC)])
  t.ok(asked.length > 50)
  for (const [, name = '', selector = ''] of asked) {
    if (OF_PROMETHEUS.names.includes(name)) continue
    const labels = [...selector.matchAll(/(\w+)\s*(?:=~|!=|!~|=)/g)].map(([, label]) => label)
    const known = [...(names.get(name) ?? []), ...OF_PROMETHEUS.labels]
    t.ok(names.has(name), `${name} is exported`)
    t.strictSame(
      labels.filter((label) => !known.includes(label ?? '')),
      [],
      `${name} has ${labels}`,
    )
  }
})

t.test('every metric of ours is described in the guide, and nothing else is', async (t) => {
  const described = [...metrics.matchAll(/^\| `((?:postrider|nodejs|process)_\w+)`/gm)]
  const ours = [...(await exported()).keys()]
    .map((name) => name.replace(/_(bucket|sum|count)$/, ''))
    .filter((name) => name.startsWith('postrider_'))
  t.strictSame(
    described
      .map(([, name]) => name)
      .filter((name) => name?.startsWith('postrider_'))
      .sort(),
    [...new Set(ours)].sort(),
  )
})

t.test('every alert has a runbook, and every runbook an alert', async (t) => {
  const runbooks = [...alerts.matchAll(/^### (Postrider\w+)$/gm)].map(([, name]) => name)
  t.strictSame(
    rules.map(({ alert }) => alert),
    runbooks,
    'in the same order',
  )
  for (const { alert, annotations } of rules) {
    t.equal(annotations.runbook_url, `docs/runbooks/alerts.md#${alert.toLowerCase()}`)
  }
})

t.test(
  'the panels of the dashboard lie next to each other, and each says what it shows',
  async (t) => {
    const cells = new Set<string>()
    for (const { title, description, targets, gridPos } of dashboard.panels) {
      t.ok(!targets || description, title)
      t.ok(gridPos.x + gridPos.w <= 24, `${title} fits`)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          t.notOk(cells.has(`${x} ${y}`), `${title} covers nothing`)
          cells.add(`${x} ${y}`)
        }
      }
    }
    const ids = dashboard.panels.map(({ id }) => id)
    t.equal(new Set(ids).size, ids.length)
  },
)

const skip = missing('promtool') ?? false

function promtool(t: Test, args: string[], input = ''): void {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', input })
  t.equal(status, 0, stdout + stderr)
}

t.test('promtool accepts the rules', { skip }, async (t) =>
  promtool(t, ['check', 'rules', join(folder, 'rules.yml')]),
)

t.test('each rule fires when it should, and not before', { skip }, async (t) =>
  promtool(t, ['test', 'rules', join(folder, 'rules.test.yml')]),
)

t.test('each rule has a case in which it fires and one in which it does not', async (t) => {
  const { tests } = parse(read('rules.test.yml')) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts?: object[] }[] }[]
  }
  const cases = tests.flatMap(({ alert_rule_test }) => alert_rule_test)
  const names = (fires: boolean) =>
    new Set(cases.filter(({ exp_alerts }) => Boolean(exp_alerts) === fires).map((c) => c.alertname))
  for (const { alert } of rules) {
    t.ok(names(true).has(alert), `${alert} fires`)
    t.ok(names(false).has(alert), `${alert} does not fire`)
  }
})

t.test('promtool accepts the metrics of a process', { skip }, async (t) => {
  const metrics = createMetrics({ version: '1' })
  watchQueue(metrics.registry, pool)
  const { text } = await metrics.render()
  const ours = text
    .split('\n')
    .filter((line) => /^(# (HELP|TYPE) )?postrider_/.test(line))
    .join('\n')
  promtool(t, ['check', 'metrics'], `${ours}\n`)
})
