const [WIDTH, HEIGHT] = [96, 20]

/** A line without axes, drawn by the server; the number next to it says what it shows. */
function Sparkline({ values }: { values: readonly (number | null)[] }) {
  const top = Math.max(...values.map((value) => value ?? 0), Number.MIN_VALUE)
  const step = WIDTH / Math.max(values.length - 1, 1)
  const known = values.flatMap((value, at) => (value === null ? [] : [{ value, at }]))
  const points = known.map(({ value, at }) => [
    (at * step).toFixed(1),
    (HEIGHT - 1 - (value / top) * (HEIGHT - 2)).toFixed(1),
  ])
  const [[x, y] = []] = points
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      aria-hidden="true"
    >
      {points.length === 1 ? (
        <circle cx={x} cy={y} r="1.5" fill="currentColor" />
      ) : (
        <polyline points={points.join(' ')} fill="none" stroke="currentColor" stroke-width="1.5" />
      )}
    </svg>
  )
}

/** A number that leads to what it counts. */
export function Tile(props: {
  value: string
  label: string
  href: string
  spark?: readonly (number | null)[]
}) {
  const { value, label, href, spark } = props
  return (
    <li>
      <a class="tile" href={href}>
        <strong>{value}</strong> <span class="muted">{label}</span>
        {spark && <Sparkline values={spark} />}
      </a>
    </li>
  )
}

/** Never rounds up to a success that was none. */
export function percent(share: number): string {
  return `${Math.floor(share * 1000) / 10} %`
}
