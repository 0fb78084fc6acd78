/** A line: a name and its points, in the order of x. */
export interface Series {
  name: string
  points: readonly (readonly [x: number, y: number])[]
}

export interface Plot {
  title: string
  /** Names and units of the axes, both logarithmic: loads and latencies span decades. */
  x: string
  y: string
  series: readonly Series[]
}

const WIDTH = 640
const HEIGHT = 360
const MARGIN = { left: 64, right: 120, top: 40, bottom: 48 }
/** Told apart without colour vision and on both backgrounds (Okabe and Ito, 2008). */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7']
const STYLE =
  'text{font:13px system-ui,sans-serif;fill:#24292f}.grid{stroke:#8888;stroke-width:.5}' +
  '@media(prefers-color-scheme:dark){text{fill:#e6edf3}}'

/**
 * Draws lines over a grid of decades as an SVG document.
 *
 * @throws RangeError when a point is not above zero, which a logarithmic axis has no place for
 */
export function drawPlot({ title, x, y, series }: Plot): string {
  const points = series.flatMap((line) => line.points)
  if (points.some(([a, b]) => !(a > 0 && b > 0))) throw new RangeError(`${title}: not above zero`)
  const across = axis(
    points.map(([a]) => a),
    MARGIN.left,
    WIDTH - MARGIN.right,
  )
  const down = axis(
    points.map(([, b]) => b),
    HEIGHT - MARGIN.bottom,
    MARGIN.top,
  )
  const body = [
    text(MARGIN.left, 22, title, 'font-weight="600"'),
    ...across.ticks.map((tick) => verticalTick(across.at(tick), tick)),
    ...down.ticks.map((tick) => horizontalTick(down.at(tick), tick)),
    text((MARGIN.left + WIDTH - MARGIN.right) / 2, HEIGHT - 10, x, 'text-anchor="middle"'),
    text(MARGIN.left - 50, MARGIN.top - 6, y),
    ...series.map((line, n) => drawLine(line, COLOURS[n % COLOURS.length] ?? '', across, down)),
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeXml(title)}"><style>${STYLE}</style>\n${body.join('\n')}\n</svg>\n`
}

interface Axis {
  at(value: number): number
  ticks: number[]
}

/** Whole decades around the values, with ticks at 1, 2 and 5. */
function axis(values: readonly number[], from: number, to: number): Axis {
  const low = Math.floor(Math.log10(Math.min(...values)))
  const high = Math.max(Math.ceil(Math.log10(Math.max(...values))), low + 1)
  const at = (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from)
  const decades = Array.from({ length: high - low }, (_, n) => 10 ** (low + n))
  const ticks = [...decades.flatMap((decade) => [decade, 2 * decade, 5 * decade]), 10 ** high]
  return { at, ticks }
}

function drawLine({ name, points }: Series, colour: string, across: Axis, down: Axis): string {
  const places = points.map(([a, b]) => `${across.at(a).toFixed(1)},${down.at(b).toFixed(1)}`)
  const [lastX, lastY] = (places.at(-1) ?? '0,0').split(',').map(Number)
  const dots = places.map((place) => {
    const [cx, cy] = place.split(',')
    return `<circle cx="${cx}" cy="${cy}" r="3" fill="${colour}"/>`
  })
  const label = text((lastX ?? 0) + 8, (lastY ?? 0) + 4, name)
  return `<polyline points="${places.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}${label}`
}

const verticalTick = (at: number, value: number) =>
  `<line class="grid" x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}"/>` +
  text(
    at,
    HEIGHT - MARGIN.bottom + 16,
    String(Number(value.toPrecision(3))),
    'text-anchor="middle"',
  )

const horizontalTick = (at: number, value: number) =>
  `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at.toFixed(1)}" y2="${at.toFixed(1)}"/>` +
  text(MARGIN.left - 6, at + 4, String(Number(value.toPrecision(3))), 'text-anchor="end"')

const text = (x: number, y: number, content: string, attributes = '') =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeXml(content)}</text>`

const escapeXml = (content: string) =>
  content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
