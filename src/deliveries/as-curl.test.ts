import { execFileSync } from 'node:child_process'
import t from 'tap'
import { asCurl, fitsCurl } from './as-curl.ts'

t.test('a shell gives curl the URL, the headers and the body as they are', async (t) => {
  const body = `{"a": "it's $HOME \`id\` \\\\n"}`
  const command = asCurl({
    url: "https://example.com/a?b=c&d='",
    headers: {
      ...{ 'content-type': 'application/json', Host: 'example.com', 'x-odd': "it's" },
      ...{ 'x-empty': '', authorization: '***' },
    },
    body,
  })
  const shown = execFileSync('sh', ['-c', `curl() { printf '%s\\0' "$@"; }; ${command}`])
  t.strictSame(String(shown).split('\0').slice(0, -1), [
    ...['-g', '-i', "https://example.com/a?b=c&d='"],
    ...['-H', 'content-type: application/json', '-H', "x-odd: it's", '-H', 'x-empty;'],
    ...['--data-binary', body],
  ])
})

t.test('a body fits by its bytes: of characters of three, 50,000 are too many', async (t) => {
  t.equal(fitsCurl('a'.repeat(50_000)), true)
  t.equal(fitsCurl('語'.repeat(50_000)), false)
})
