import t from 'tap'
import { inWords, prettyJson, spanOf } from './words.ts'

t.test('an error of an attempt is a sentence, and says nothing twice', async (t) => {
  const cases: [error: string, words: string][] = [
    ['dns: the name did not resolve (ENOTFOUND)', 'The name did not resolve (ENOTFOUND)'],
    [
      'dns: the name servers did not answer',
      'The name did not resolve: the name servers did not answer',
    ],
    [
      'timeout: no complete answer within 15 s',
      'The receiver took too long: no complete answer within 15 s',
    ],
    ['status: the receiver answered 503', 'The receiver answered 503'],
    ['connection: refused, nothing listens there', 'No connection: refused, nothing listens there'],
    ['something else', 'something else'],
    ['novelty: of a later release', 'novelty: of a later release'],
    ['', ''],
  ]
  for (const [error, words] of cases) t.equal(inWords(error), words, error)
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

t.test('JSON is broken into lines, and no number is changed', async (t) => {
  t.equal(
    prettyJson('{"a":12345678901234567890.10,"b":[1e400]}'),
    '{\n  "a": 12345678901234567890.10,\n  "b": [\n    1e400\n  ]\n}',
  )
  t.equal(prettyJson('<html>'), '<html>')
  t.equal(prettyJson('{"a":"\\ud800"}'), '{\n  "a": "\\ud800"\n}')
})
