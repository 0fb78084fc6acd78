interface Series {
  label: string
  /** Selects the colour: `accent` for what is neither good nor bad. */
  tone: 'good' | 'bad' | 'accent' | 'busy'
  unit?: string
  values: readonly (number | null)[]
}

/** Beyond tenths nobody reads them. */
const rounded = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10)

/**
 * Lines over time, drawn in the browser by uPlot; the figures also stand in a table, for those who do not
 * see them and where there is no script.
 */
export function Chart({
  id,
  title,
  at,
  series,
}: {
  id: string
  title: string
  /** Seconds since 1970, of each value. */
  at: readonly number[]
  series: readonly Series[]
}) {
  const labels = series.map(({ label, unit, tone }) => ({ label, unit, tone }))
  const data = [at, ...series.map(({ values }) => values.map(rounded))]
  return (
    <figure>
      <figcaption>{title}</figcaption>
      <div
        id={id}
        class="chart"
        aria-hidden="true"
        data-chart={JSON.stringify({ series: labels, data })}
        hx-morph-skip-children
      />
      <details>
        <summary>{title} as a table</summary>
        <section class="scroll" tabindex={0} aria-label={`${title}, table`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Time (UTC)</th>
                {series.map(({ label }) => (
                  <th scope="col">{label}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {at.map((seconds, row) => (
                <tr>
                  <td>{new Date(seconds * 1000).toISOString().slice(11, 16)}</td>
                  {series.map(({ values, unit }) => (
                    <td class="number">
                      {values[row] == null ? '–' : `${rounded(values[row])}${unit ?? ''}`}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </details>
    </figure>
  )
}
