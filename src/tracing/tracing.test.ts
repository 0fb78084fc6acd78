import t from 'tap'
import { startTracing } from '../service/shared-parts.ts'
import { partsOf, readTraceContext } from './tracing.ts'

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'
const SPAN_ID = 'b7ad6b7169203331'
const VALID = `00-${TRACE_ID}-${SPAN_ID}-01`

const read = (headers: Record<string, string>) => readTraceContext((name) => headers[name])

t.test('the trace context of a request is read with its tracestate', async (t) => {
  t.strictSame(read({ traceparent: VALID, tracestate: 'a=1' }), {
    traceparent: VALID,
    tracestate: 'a=1',
  })
  t.strictSame(read({ traceparent: VALID }), { traceparent: VALID, tracestate: null })
  t.strictSame(partsOf({ traceparent: VALID, tracestate: null }), {
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    traceFlags: 1,
  })
})

for (const [name, traceparent] of Object.entries({
  'a trace id of zeros': `00-${'0'.repeat(32)}-${SPAN_ID}-01`,
  'a span id of zeros': `00-${TRACE_ID}-${'0'.repeat(16)}-01`,
  'capital letters': VALID.toUpperCase(),
  'another version': VALID.replace(/^00/, '01'),
  'more behind it': `${VALID}-00`,
  'less than a span id': VALID.replace(SPAN_ID, SPAN_ID.slice(1)),
  nothing: '',
})) {
  t.test(`a traceparent with ${name} counts as none`, async (t) => {
    t.equal(read({ traceparent, tracestate: 'a=1' }), null)
  })
}

t.test(
  'a tracestate has 512 printable characters at most, and is worth nothing alone',
  async (t) => {
    const kept = (tracestate: string) => read({ traceparent: VALID, tracestate })?.tracestate
    t.equal(kept('x'.repeat(512)), 'x'.repeat(512))
    t.equal(kept('x'.repeat(513)), null)
    t.equal(kept('a=ü'), null)
    t.equal(read({ tracestate: 'a=1' }), null)
  },
)

t.test('without a receiver of spans there is no tracing at all', async (t) => {
  const options = { endpoint: undefined, sampleRatio: 1, version: '1', onLost: t.fail }
  t.equal(await startTracing(options), null)
})
