import t from 'tap'
import { readServerSentEvents, type ServerSentEvent } from './server-sent-events.ts'

async function eventsIn(chunks: (string | Uint8Array)[]) {
  const encoder = new TextEncoder()
  const bytes = chunks.map((chunk) => (typeof chunk === 'string' ? encoder.encode(chunk) : chunk))
  const events: ServerSentEvent[] = []
  for await (const event of readServerSentEvents(ReadableStream.from(bytes))) events.push(event)
  return events
}

t.test('reads names, data of several lines, and ids that stay', async (t) => {
  t.strictSame(await eventsIn(['event: a\ndata: 1\ndata:2\nid: x\n\ndata: {"a": ":"}\n\n']), [
    { event: 'a', data: '1\n2', id: 'x' },
    { event: 'message', data: '{"a": ":"}', id: 'x' },
  ])
})

t.test('an id alone is told, a comment or what is not known is not', async (t) => {
  t.strictSame(await eventsIn([': here\nid: 7\n\n', ': here\nid: 7\n\n', 'retry: 1\n\n', '\n\n']), [
    { event: null, data: '', id: '7' },
  ])
})

t.test('messages may be cut anywhere, within a character too', async (t) => {
  const bytes = new TextEncoder().encode('data: é\r\n\r\ndata: 2\n\n')
  const single = [...bytes].map((byte) => Uint8Array.of(byte))
  t.strictSame(
    (await eventsIn(single)).map(({ data }) => data),
    ['é', '2'],
  )
})

t.test('a message without an end is not collected for ever', async (t) => {
  const chunks = Array.from({ length: 17 }, () => 'x'.repeat(1_048_576))
  await t.rejects(eventsIn(chunks), RangeError)
})

t.test('what the end cuts off is no message', async (t) => {
  t.strictSame(await eventsIn(['data: 1\n\ndata: 2\n']), [{ event: 'message', data: '1', id: '' }])
})
