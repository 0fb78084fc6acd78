import t from 'tap'
import { contrast, readable, themeCss } from './theme.ts'

t.test('contrast is that of WCAG', async (t) => {
  t.equal(contrast('#000000', '#ffffff'), 21)
  t.equal(contrast('#ffffff', '#000000'), 21)
  t.equal(contrast('#1f4fc4', '#1f4fc4'), 1)
  t.equal(contrast('#777777', '#ffffff').toFixed(2), '4.48')
})

t.test(
  'a colour that can be read stays as it is, another becomes the nearest that can',
  async (t) => {
    const onWhite = { on: '#ffffff', towards: '#000000' }
    t.equal(readable('#0a5c36', onWhite), '#0a5c36')
    const yellow = readable('#ffe600', onWhite)
    t.ok(contrast(yellow, '#ffffff') >= 4.5)
    t.ok(contrast(yellow, '#ffffff') < 5, 'no darker than it has to be')
    t.equal(readable('#ffffff', { on: '#000000', towards: '#ffffff' }), '#ffffff')
  },
)

t.test('every colour gives text that can be read, on its surface and on itself', async (t) => {
  const levels = [0, 51, 102, 153, 204, 255].map((level) => level.toString(16).padStart(2, '0'))
  const colours = levels.flatMap((red) =>
    levels.flatMap((green) => levels.map((blue) => `#${red}${green}${blue}`)),
  )
  t.equal(colours.length, 216)
  t.strictSame(
    colours.filter((colour) => !isReadable(themeCss(colour))),
    [],
  )
})

function isReadable(css: string): boolean {
  const [[, light = '', dark = ''] = [], [, onLight = '', onDark = ''] = []] = [
    ...css.matchAll(/accent:light-dark\((#\w{6}),(#\w{6})\)/g),
  ]
  const pairs = [
    ...['#ffffff', '#f7f8fa', '#eff1f4', onLight].map((back) => [light, back] as const),
    ...['#0e1116', '#151a21', '#1c222b', onDark].map((back) => [dark, back] as const),
  ]
  return pairs.every(([one, other]) => contrast(one, other) >= 4.5)
}
