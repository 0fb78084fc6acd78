import t from 'tap'
import { drawPlot } from './plot.ts'

const axes = { title: 'Latency', x: 'events/s', y: 'ms' }

t.test('a plot has a dot for each point, higher where the value is higher', async (t) => {
  const points = [
    [10, 5],
    [100, 50],
  ] as const
  const svg = drawPlot({ ...axes, series: [{ name: 'p50', points }] })
  const dots = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => ({
    x: Number(x),
    y: Number(y),
  }))
  t.equal(dots.length, 2)
  const [first, second] = dots
  t.ok(first && second && first.x < second.x && first.y > second.y)
})

t.test('names cannot break the document', async (t) => {
  const svg = drawPlot({
    ...axes,
    title: '<a> & "b"',
    series: [{ name: '</svg>', points: [[1, 1]] }],
  })
  t.equal(svg.match(/<\/svg>/g)?.length, 1)
  t.match(svg, '&#60;a&#62; &#38; &#34;b&#34;')
})

t.test('what a logarithmic axis has no place for is refused', async (t) => {
  for (const y of [0, -1, Number.NaN])
    t.throws(() => drawPlot({ ...axes, series: [{ name: 'p50', points: [[1, y]] }] }), RangeError)
})
