import t from 'tap'
import { RawBytes } from './raw-answer.ts'

function hear(...parts: (string | Buffer)[]): RawBytes {
  const bytes = new RawBytes()
  for (const part of parts) bytes.add(Buffer.from(part as string))
  return bytes
}

const ANSWER =
  'HTTP/1.1 100 Go on\r\nx: y\r\n\r\nHTTP/1.1 103\n\nHTTP/1.1 202 Ok\nA: 1\nB: 2\n 3\nA: 4\n\nbody'

t.test('reads the same however it is cut into pieces', async (t) => {
  const expected = {
    statusCode: 202,
    headers: { a: '1, 4', b: '2 3' },
    body: 'body',
    isWhole: false,
  }
  for (let at = 0; at <= ANSWER.length; at += 1) {
    const read = hear(ANSWER.slice(0, at), ANSWER.slice(at)).read()
    t.strictSame({ ...read, body: String(read?.body) }, expected)
  }
})

t.test('knows the status once its line has ended, and not before', async (t) => {
  const end = ANSWER.indexOf('Ok\n') + 'Ok\n'.length
  for (let at = 0; at < end; at += 1) t.equal(hear(ANSWER.slice(0, at)).read(), null)
  t.match(hear(ANSWER.slice(0, end)).read(), { statusCode: 202, headers: {} })
})

t.test('headers are those whose lines have ended', async (t) => {
  t.strictSame(hear('HTTP/1.1 200 OK\r\na: b\r\nc: d').read()?.headers, { a: 'b' })
  t.strictSame(hear('HTTP/1.1 200 OK\r\n').read()?.headers, {})
})

t.test('of headers that may come only once the first counts', async (t) => {
  const lines = [
    'retry-after: 120',
    'Retry-After: 120',
    'location: /a',
    'location: /b',
    'x: 1',
    'x: 2',
  ]
  t.strictSame(hear(`HTTP/1.1 503 No\n${lines.join('\n')}\n\n`).read()?.headers, {
    'retry-after': '120',
    location: '/a',
    x: '1, 2',
  })
})

for (const [status, statusCode] of [
  ['099', null],
  ['100', null],
  ['101', 101],
  ['199', null],
  ['200', 200],
  ['999', 999],
  ['1000', null],
] as const) {
  t.test(`takes ${status} for ${statusCode ?? 'no status that decides'}`, async (t) => {
    const read = hear(`HTTP/1.1 ${status} x\r\n\r\n`).read()
    t.equal(read?.statusCode ?? null, statusCode)
  })
}

t.test('keeps 32 KiB and counts the rest', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\n\r\n'
  const whole = hear(head, 'x'.repeat(32_768 - head.length))
  t.equal(whole.read()?.body.length, 32_768 - head.length)
  whole.add(Buffer.from('y'))
  t.equal(whole.read()?.body.length, 32_768 - head.length)
  t.equal(hear('x'.repeat(32_768), head).read(), null, 'not even a status behind them')
})

t.test('reads chunks as far as they are chunks', async (t) => {
  const bodyOf = (chunks: string) =>
    String(hear(`HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n${chunks}`).read()?.body)
  t.equal(bodyOf('2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n'), 'abcde')
  t.equal(bodyOf('2\nab\n0\n\n'), 'ab')
  t.equal(bodyOf('2\r\nab\r\n9\r\ncd'), 'abcd')
  t.equal(bodyOf('2\r\nab\r\nnonsense'), 'ab')
  t.equal(bodyOf('fffffffff\r\nab'), '')
  t.equal(bodyOf(''), '')
})
