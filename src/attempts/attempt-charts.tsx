import { Chart } from '../console/chart.tsx'
import type { AttemptRates } from './attempt-rates.ts'

/** How many attempts were made over time, and how long they took. */
export function AttemptCharts({ steps, stepSeconds }: AttemptRates) {
  const at = steps.map((step) => step.at)
  const per = stepSeconds === 60 ? 'a minute' : `each ${stepSeconds / 60} minutes`
  return (
    <div class="charts">
      <Chart
        id="rates"
        title={`Attempts ${per}`}
        at={at}
        series={[
          { label: 'delivered', tone: 'good', values: steps.map(({ delivered }) => delivered) },
          { label: 'failed', tone: 'bad', values: steps.map(({ failed }) => failed) },
        ]}
      />
      <Chart
        id="latency"
        title="Time of an attempt"
        at={at}
        series={[
          {
            label: 'half took up to',
            tone: 'accent',
            unit: ' ms',
            values: steps.map(({ p50Ms }) => p50Ms),
          },
          {
            label: '95 % took up to',
            tone: 'busy',
            unit: ' ms',
            values: steps.map(({ p95Ms }) => p95Ms),
          },
        ]}
      />
    </div>
  )
}
