import fc from 'fast-check'
import t from 'tap'
import { LINE_ATTEMPTS_MAX, placesOf, widthsOf } from './attempt-strip.tsx'

t.test('attempts stand on their line in order, apart from each other, and within it', async (t) => {
  const times = fc.array(fc.nat({ max: 2 ** 40 }), { minLength: 2, maxLength: LINE_ATTEMPTS_MAX })
  fc.assert(
    fc.property(times, (unordered) => {
      const places = placesOf(unordered.toSorted((one, other) => one - other))
      const steps = places.slice(1).map((place, at) => place - (places[at] ?? 0))
      return (
        steps.every((step) => step >= 21) && (places[0] ?? 0) >= 9 && (places.at(-1) ?? 0) <= 631
      )
    }),
  )
  t.strictSame(placesOf([0, 1, 2]), [9, 320, 631], 'equal waits look equal')
  const [, second = 0] = placesOf([0, 1, 1_000])
  t.ok(second < 40, 'a short wait before a long one is short')
})

t.test('phases share the bar in proportion, and none is too small to be seen', async (t) => {
  t.strictSame(widthsOf([10, 30]), [81, 239])
  t.strictSame(widthsOf([0, 1_000]), [2, 318])
  t.strictSame(widthsOf([0, 0]), [2, 2])
  t.strictSame(widthsOf([]), [])
})
