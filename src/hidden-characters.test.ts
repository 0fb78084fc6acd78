import t from 'tap'
import { hiddenIn, showHidden, showHiddenInHtml } from './hidden-characters.ts'

/** Each in the middle and at both ends of a text, which is where they were seen. */
const HIDDEN = [
  ['\u0000', 'U+0000, NUL'],
  ['\u0007', 'U+0007, which cannot be seen'],
  ['\u007f', 'U+007F'],
  ['\u0085', 'U+0085'],
  ['\u00ad', 'U+00AD, a soft hyphen'],
  ['\u034f', 'U+034F'],
  ['\u061c', 'U+061C'],
  ['\u115f', 'U+115F'],
  ['\u180e', 'U+180E'],
  ['\u200b', 'U+200B, a zero width space'],
  ['\u200d', 'U+200D, a zero width joiner'],
  ['\u200f', 'U+200F, a right-to-left mark'],
  ['\u2028', 'U+2028'],
  ['\u202e', 'U+202E, which turns the direction of writing'],
  ['\u2064', 'U+2064'],
  ['\u2069', 'U+2069'],
  ['\u2800', 'U+2800'],
  ['\u3164', 'U+3164'],
  ['\ufe0f', 'U+FE0F'],
  ['\ufeff', 'U+FEFF, a byte order mark'],
  ['\uffa0', 'U+FFA0'],
  ['\ufff9', 'U+FFF9'],
  ['\ufffc', 'U+FFFC'],
  ['\uffff', 'U+FFFF'],
  ['\ud800', 'U+D800, a lone surrogate'],
  ['\udc00', 'U+DC00, a lone surrogate'],
  ['\u{e0041}', 'U+E0041'],
  ['\u{13441}', 'U+13441'],
  ['\u{13442}', 'U+13442'],
  ['\u{16fe4}', 'U+16FE4'],
  ['\u{1d159}', 'U+1D159'],
  ['\u{1d173}', 'U+1D173'],
] as const

for (const [character, name] of HIDDEN) {
  t.test(`${name} has no place in any text, wherever it stands`, async (t) => {
    for (const text of [`${character}a`, `a${character}b`, `a${character}`]) {
      for (const kind of ['code', 'name', 'prose'] as const) {
        t.match(hiddenIn(text, kind), `contains ${name}`, kind)
      }
      t.notMatch(showHidden(text), character)
      t.match(showHidden(text), /\\u[0-9a-f]{4}/)
    }
  })
}

t.test(
  'blanks have their place: ordinary ones in names, all and line breaks in prose',
  async (t) => {
    t.equal(hiddenIn('Acme Inc', 'name'), null)
    t.equal(hiddenIn('Acme Inc', 'code'), 'contains U+0020, a blank')
    for (const text of [' Acme', 'Acme ']) {
      t.equal(hiddenIn(text, 'name'), 'begins or ends with a blank')
      t.equal(hiddenIn(text, 'prose'), null)
    }
    for (const character of ['\t', '\n', '\u00a0', '\u2003', '\u3000']) {
      const text = `a${character}b`
      t.match(hiddenIn(text, 'name'), /contains U\+/)
      t.equal(hiddenIn(text, 'prose'), null)
      t.equal(showHidden(text), text)
    }
  },
)

t.test('what people see stays: letters of every script, marks, emoji', async (t) => {
  const seen = [
    'Müller',
    'Mu\u0308ller',
    'Ωmega',
    '株式会社',
    '葛\u{e0100}城',
    'שלום',
    'می\u200cخواهم',
    'क्\u200dष',
  ]
  const emoji = [
    '👩\u200d💻',
    '❤\ufe0f',
    '☎\ufe0e',
    '🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
    '1\ufe0f\u20e3',
  ]
  for (const text of [...seen, ...emoji, '\ue000']) {
    t.equal(hiddenIn(text, 'name'), null, text)
    t.equal(hiddenIn('😀', 'code'), null)
    t.equal(showHidden(text), text)
  }
  t.match(hiddenIn('a\u200cb', 'name'), 'U+200C', 'Latin letters are not joined')
  t.match(hiddenIn('https://a.test/👩\u200d💻', 'code'), 'U+200D', 'nor is a URL read as a sign')
})

t.test('what cannot be seen is shown by its number, and the rest as it is', async (t) => {
  t.equal(
    showHidden('a\u202egnp.exe\n❤\ufe0f\u00a0b\u{e0041}'),
    'a\\u202egnp.exe\n❤\ufe0f\u00a0b\\udb40\\udc41',
  )
  t.equal(showHidden('nothing'), 'nothing')
})

t.test('a page shows it in its text, and leaves fields and attributes as they are', async (t) => {
  const page = (text: string) =>
    `<!doctype html><p title="a\u202eb">${text}</p><textarea>\na\u202eb</textarea><input value="\u200b"/>`
  t.equal(showHiddenInHtml(page('a\u202eb')), page('a\\u202eb'))
  t.equal(showHiddenInHtml(page('Zoë 👩\u200d💻\u00a0\n')), page('Zoë 👩\u200d💻\u00a0\n'))
  t.equal(showHiddenInHtml('<p>nothing</p>'), '<p>nothing</p>')
})
