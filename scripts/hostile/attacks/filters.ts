import type { Attack } from '../attack.ts'
import { tryEndpoint } from './settings.ts'

const comparisons = (n: number): string =>
  Array.from({ length: n }, (_, at) => `$.a${at} == ${at}`).join(' || ')

/** Expressions that cost more the larger the event is, and what is no predicate. */
const FILTERS = [
  '', '$', '$.a', '1 == 1', '$.** == 1', '$.**{2 to 5}.a == 1', '$.a ? (@ > 1)', '$.a ? (@.b == 1) == 1',
  '$.a like_regex "(a+)+$"', '$.a like_regex "^(([a-z])+.)+[A-Z]([a-z])+$"', '$.a starts with "a"', 'exists($.a)',
  '($.a == 1) is unknown', '$.a.type() == "number"', '$.a.size() > 1', '$.keyvalue() == 1', '$.a.datetime() > 1',
  '$.a + 1 == 2', '-$.a == 1', '$.a[last] == 1', '$.a[0 to 100000] == 1', '$.a[$.b] == 1', '$x == 1', '@ == 1',
  '$.a == $.b', '$.a[*][*][*][*][*][*][*][*] == 1', '$.*.*.*.*.*.*.*.* == 1', '$[*].*[*].*[*].*[*].* == 1',
  `$${'.a'.repeat(400)} == 1`, comparisons(100), `${'!('.repeat(400)}$.a == 1${')'.repeat(400)}`,
  `$.a == "${'x'.repeat(2_000)}"`, '$.a == 1; drop table tenant',
  "$.a == '1'", '$.a == 1 --', '$.a == "\\u0000"', '$.a == 1e400000', 'lax $.a == 1', 'strict $.a == 1',
  '$.a == 1 &&', '$."a', '$.a\0 == 1',
] // biome-ignore format: a list of values

export const filters: Attack = {
  name: 'filters',
  about: 'filters that would hold up the publishing of others for ever, and invalid ones',
  async *run(field) {
    for (const filter of FILTERS) {
      const tried = `the filter ${JSON.stringify(filter.slice(0, 60))}`
      yield await tryEndpoint(field, tried, { filter })
    }
  },
}
