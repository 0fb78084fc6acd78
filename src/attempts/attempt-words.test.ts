import t from 'tap'
import { ATTEMPT_REASONS, type AttemptReason } from '../sending/reason.ts'
import { inWords, labelOf, spanOf } from './attempt-words.ts'

t.test('what went wrong is a sentence: its words, otherwise those of its reason', async (t) => {
  const cases: [reason: AttemptReason | null, error: string | null, words: string | null][] = [
    [
      'dns_not_found',
      'the name did not resolve (ENOTFOUND)',
      'The name did not resolve (ENOTFOUND)',
    ],
    ['timeout_answer', null, 'Timeout: response'],
    [null, 'of a release before', 'Of a release before'],
    ['status_5xx', 'dns: is how this text begins', 'Dns: is how this text begins'],
    [null, null, null],
  ]
  for (const [reason, error, words] of cases) t.equal(inWords({ reason, error }), words)
})

t.test('every reason has a label, and no two have the same', async (t) => {
  const labels = ATTEMPT_REASONS.map(labelOf)
  t.equal(new Set(labels).size, ATTEMPT_REASONS.length)
  t.notOk(labels.includes(''))
})

t.test('spans are in two units at most, at both sides of each', async (t) => {
  const cases: [ms: number, span: string][] = [
    [0, '0 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [59_400, '59 s'],
    [59_500, '1 min'],
    [61_000, '1 min 1 s'],
    [3_599_000, '59 min 59 s'],
    [3_600_000, '1 h'],
    [86_399_000, '24 h'],
    [86_400_000, '1 d'],
    [90_000_000, '1 d 1 h'],
  ]
  for (const [ms, span] of cases) t.equal(spanOf(ms), span, String(ms))
})
