import { Chart, type Marker } from '../console/chart.tsx'
import { say } from '../console/language.ts'
import type { AttemptRates } from './attempt-rates.ts'

/**
 * How many attempts were made over time, and how long they took.
 *
 * @param props.rangeHref the list of deliveries that a range leads to
 */
export function AttemptCharts(props: AttemptRates & { rangeHref?: string; markers?: Marker[] }) {
  const { steps, stepSeconds, rangeHref, markers = [] } = props
  const at = steps.map((step) => step.at)
  const title =
    stepSeconds === 60
      ? say('Attempts per minute')
      : say('Attempts per {count} minutes', { count: stepSeconds / 60 })
  return (
    <div class="charts">
      <Chart
        id="rates"
        title={title}
        kind="bars"
        at={at}
        series={[
          { label: 'Delivered', tone: 'good', values: steps.map(({ delivered }) => delivered) },
          { label: 'Failed', tone: 'bad', values: steps.map(({ failed }) => failed) },
        ]}
        {...{ rangeHref, markers }}
      />
      <Chart
        id="latency"
        title="Response time"
        kind="lines"
        unit=" ms"
        at={at}
        series={[
          { label: 'p50', tone: 'accent', values: steps.map(({ p50Ms }) => p50Ms) },
          { label: 'p95', tone: 'busy', values: steps.map(({ p95Ms }) => p95Ms) },
        ]}
        {...{ rangeHref, markers }}
      />
    </div>
  )
}
