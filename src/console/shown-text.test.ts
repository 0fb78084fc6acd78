import t from 'tap'
import { SHOWN_CHARACTERS_MAX, shownText } from './shown-text.ts'

t.test('JSON is broken into lines, and no number is changed', async (t) => {
  const cases: [text: string, shown: string][] = [
    [
      '{"a":12345678901234567890.10,"b":[1e400]}',
      '{\n  "a": 12345678901234567890.10,\n  "b": [\n    1e400\n  ]\n}',
    ],
    ['<html>', '<html>'],
    ['{"a":"\\ud800"}', '{\n  "a": "\\ud800"\n}'],
    ['', ''],
  ]
  for (const [text, shown] of cases) t.strictSame(shownText(text), { text: shown, isCut: false })
})

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

// Issue 8: 254 KB of nested arrays became 457 MB of spaces, while every other page waited.
t.test('deep JSON whose indent would outgrow the page stays as it is', async (t) => {
  const deep = lastThat((depth) => shownText(nested(depth)).text !== nested(depth)) + 1
  t.ok(deep > 100 && deep < 1_000, `from a depth of ${deep}`)
  for (const text of [
    nested(deep),
    nested(SHOWN_CHARACTERS_MAX / 2),
    `[${'{"a":['.repeat(5_000)}`,
    `"${'\\"'.repeat(SHOWN_CHARACTERS_MAX / 2 - 1)}"`,
    `[${'1,'.repeat(SHOWN_CHARACTERS_MAX / 2 - 2)}1]`,
  ]) {
    t.strictSame(shownText(text), { text, isCut: false }, text.slice(0, 20))
  }
})

t.test('brackets and quotes within strings count for nothing', async (t) => {
  const text = `{"a":"${'['.repeat(1_000)}\\\\","b":"${'\\"['.repeat(1_000)}"}`
  t.match(shownText(text).text, /^\{\n {2}"a": "\[/)
})

t.test('text is cut behind the last character that a page has room for', async (t) => {
  const whole = 'x'.repeat(SHOWN_CHARACTERS_MAX)
  t.strictSame(shownText(whole), { text: whole, isCut: false })
  t.strictSame(shownText(`${whole}y`), { text: whole, isCut: true })
  const { text } = shownText(`${whole.slice(1)}\u{1F600}`)
  t.equal(text, `${whole.slice(1)}\ufffd`, 'and half a character is none')
})

/** The largest number that something is true of, where it is true of all below. */
function lastThat(isTrue: (n: number) => boolean): number {
  let n = 2
  while (isTrue(n + 1)) n += 1
  return n
}
