import t from 'tap'
import { renderPage, renderRecord, renderTable } from './output.ts'

t.test('columns are aligned, and what is missing shows as a dash', async (t) => {
  const rows = [
    { key: 'acme', name: 'Acme Inc.' },
    { key: 'b', name: null },
  ]
  t.equal(
    renderTable(['key', 'name'], rows),
    ['key   name', 'acme  Acme Inc.', 'b     -', ''].join('\n'),
  )
})

t.test('a record is one member a line', async (t) => {
  const record = { id: 1, eventTypes: ['*'], filter: '' }
  t.equal(renderRecord(record), 'id          1\neventTypes  ["*"]\nfilter      -\n')
})

t.test('a page tells how to get the next one', async (t) => {
  const page = { data: [{ key: 'acme' }], nextCursor: 'abc' }
  t.equal(renderPage(['key'], page), 'key\nacme\nmore: --cursor abc\n')
  t.equal(renderPage(['key'], { ...page, nextCursor: null }), 'key\nacme\n')
})

t.test('a stored text cannot steer the terminal', async (t) => {
  const output = renderTable(['name'], [{ name: 'a\u001b[2Jb\nc\u009b' }])
  t.equal(output, 'name\na\\u001b[2Jb�c\\u009b\n')
  // Issue 14, 17: nor pass for another.
  t.equal(renderRecord({ name: 'pay\u202elap\u200b' }), 'name  pay\\u202elap\\u200b\n')
})
