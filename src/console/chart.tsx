import { say, sayAny, sayNumber, sayTime } from './language.ts'

interface Series {
  label: string
  /** Selects the colour: `accent` for what is neither good nor bad. */
  tone: 'good' | 'bad' | 'accent' | 'busy'
  values: readonly (number | null)[]
}

/** Something that happened at a time, such as that an endpoint was paused. */
export interface Marker {
  at: Date
  label: string
}

interface ChartProps {
  id: string
  title: string
  /** Counts as bars that are stacked, or measures as lines. */
  kind: 'bars' | 'lines'
  /** Behind each value. */
  unit?: string
  /** Seconds since 1970, of each value. */
  at: readonly number[]
  series: readonly Series[]
  markers?: readonly Marker[]
  /** A page with `since` and `until` in its address, where a range that is dragged over leads. */
  rangeHref?: string | undefined
  isLow?: boolean
}

/** Beyond tenths nobody reads them. */
const rounded = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10)

/**
 * Drawn in the browser by uPlot; the figures also stand in a table, for those who do not see them and where there
 * is no script.
 */
export function Chart(props: ChartProps) {
  const { id, title, kind, unit = '', at, series, rangeHref, isLow = false } = props
  const markers = (props.markers ?? []).map(({ at, label }) => ({
    label: sayAny(label),
    at: at.getTime() / 1000,
  }))
  const labels = series.map(({ label, tone }) => ({ label: sayAny(label), tone }))
  const data = [at, ...series.map(({ values }) => values.map(rounded))]
  return (
    <figure>
      <figcaption>
        {sayAny(title)} {rangeHref && <span class="muted">· {say('drag to choose a range')}</span>}
      </figcaption>
      <div
        id={id}
        class={isLow ? 'chart low' : 'chart'}
        aria-hidden="true"
        data-chart={JSON.stringify({ kind, unit, series: labels, data, markers })}
        data-range={rangeHref}
        hx-morph-skip-children
      />
      <ChartData {...props} />
    </figure>
  )
}

function ChartData({ title, unit = '', at, series, markers = [] }: ChartProps) {
  return (
    <details>
      <summary>{say('Data')}</summary>
      {markers.length > 0 && (
        <ul>
          {markers.map((marker) => (
            <li>
              <ClockTime seconds={marker.at.getTime() / 1000} />: {sayAny(marker.label)}
            </li>
          ))}
        </ul>
      )}
      <section
        class="scroll"
        tabindex={0}
        aria-label={say('{title}, table', { title: sayAny(title) })}
      >
        <table>
          <thead>
            <tr>
              <th scope="col">{say('Time')}</th>
              {series.map(({ label }) => (
                <th scope="col">{sayAny(label)}</th>
              ))}
            </tr>
          </thead>
          <tbody>
            {at.map((seconds, row) => (
              <tr>
                <td>
                  <ClockTime seconds={seconds} />
                </td>
                {series.map(({ values }) => (
                  <td class="number">
                    {values[row] == null ? '–' : `${sayNumber(rounded(values[row]) ?? 0)}${unit}`}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  )
}

/** Of a point on the axis, in the same zone. */
function ClockTime({ seconds }: { seconds: number }) {
  const iso = new Date(seconds * 1000).toISOString()
  return (
    <time datetime={iso} data-time="exact">
      {sayTime(new Date(iso))}
    </time>
  )
}
