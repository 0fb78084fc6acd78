import t from 'tap'
import { createTestDatabase, startDebianPostgres } from '../testing/wiring/database.ts'
import { checkFilter, FilterInvalid } from './filter.ts'

const { pool } = await createTestDatabase(t)

const ACCEPTED = [
  '$.amount > 100',
  '$.amount > 100 && $.currency == "EUR"',
  '100 < $.amount',
  '$ == 1',
  '$ == "text"',
  '$.a == null || $.a == true || $.a != false',
  '$.a <> -1.5e-3',
  '$.a >= 0 && $.a <= 10 && $.a < 5',
  '!($.a == 1)',
  '! ( ! ( $.a == 1 ) )',
  '(($.a == 1))',
  '($.a == 1 || $.b == 2) && !($.c == 3)',
  '$.items[*].sku == "x"',
  '$.items[0].sku == "x"',
  '$.* == 1',
  '$."a key with blanks" == 1',
  '$."" == ""',
  '$."\\u00e9\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00" == "\\n"',
  '$.größe_1 == 1',
  '$.true == 1 && $.exists == 2 && $.last == 3 && $.to == 4 && $.strict == 5 && $.size == 6',
  ' $ . a [ 0 ]\n==\t1 ',
  '$.a==1||$.b==2&&$.c==3',
  '$.a == "don\'t; drop table"',
  '$.a == "/* no comment */"',
  '$.a.b.c.d.e.f.g.h.i.j == 1',
  '$[*][*][*][*][*][*] == 1',
  Array(30).fill('$.a==1').join('||'),
  `${'('.repeat(300)}$.a==1${')'.repeat(300)}`,
  `${'!('.repeat(300)}$.a==1${')'.repeat(300)}`,
]

/** Filter, character, what was expected there. */
const REFUSED: [filter: string, at: number, expected: RegExp][] = [
  ['', 1, /a path that begins with \$, or a literal .*, found the end/],
  ['   ', 4, /found the end/],
  ['$.a', 4, /one of == != < <= > >=, found the end/],
  ['$.a = 1', 5, /one of ==.*, found "="/],
  ['$.a == 1 &', 10, /&&, \|\| or the end, found "&"/],
  ['$.a == 1 && ', 13, /a path .* found the end/],
  ['$.a == 1 and $.b == 2', 10, /&&, \|\| or the end, found "and"/],
  ['($.a == 1', 10, /&&, \|\| or \), found the end/],
  ['$.a == 1)', 9, /the end, found "\)"/],
  ['!$.a == 1', 2, /\( after !, found "\$"/],
  ['$.a == $.b', 8, /a literal .*, found "\$"/],
  ['1 == 1', 6, /a path/],
  ["$.a == 'x'", 8, /a literal .* found "'"/],
  ['$.a == x', 8, /a literal .* found "x"/],
  ['$.a == TRUE', 8, /found "TRUE"/],
  ['$.a == trueish', 8, /a literal/],
  ['$.a == 01', 8, /a literal/],
  ['$.a == 1.', 8, /a literal/],
  ['$.a == .5', 8, /a literal/],
  ['$.a == 0x10', 8, /a literal/],
  ['$.a == 1 + 1', 10, /the end, found "\+"/],
  ['$.a + 1 == 2', 5, /one of ==/],
  ['-$.a == 2', 1, /found "-"/],
  ['$.a == "x', 8, /a literal/],
  ['$.a == "\\x41"', 8, /a literal/],
  ['$.a == "\\u0000"', 8, /text without/],
  ['$.a == "\\ud800"', 8, /text without/],
  ['$.a == "\t"', 8, /a literal/],
  ['$.1a == 1', 3, /a key, "a key" or \*, found "1a"/],
  ['$.a-b == 1', 4, /one of ==.* found "-"/],
  ['$a == 1', 2, /one of ==.* found "a"/],
  ['@.a == 1', 1, /found "@"/],
  ['a == 1', 1, /found "a"/],
  ['strict $.a == 1', 1, /found "strict"/],
  ['$.** == 1', 4, /one of ==.* found "\*"/],
  ['$.**.a == 1', 4, /one of ==/],
  ['$.a ? (@ > 1) == 1', 5, /found "\?"/],
  ['$.a like_regex "a+"', 5, /found "like_regex"/],
  ['$.a starts with "x"', 5, /one of ==/],
  ['exists($.a)', 1, /found "exists"/],
  ['$.a.size() > 1', 9, /found "\("/],
  ['($.a == 1) is unknown', 12, /&&, \|\| or the end/],
  ['($.a) == 1', 5, /one of ==/],
  ['$[last] == 1', 3, /\* or a number, found "last"/],
  ['$[-1] == 1', 3, /\* or a number/],
  ['$[0 to 5] == 1', 5, /\], found "to"/],
  ['$[0,1] == 1', 4, /\], found ","/],
  ['$[1234567890] == 1', 3, /a number/],
  ['$.a == 1 /* x */', 10, /the end, found "\/"/],
  ['$.a == 1; select 1', 9, /found ";"/],
  ['$.a\0 == 1', 4, /one of ==/],
  ['$.a.b.c.d.e.f.g.h.i.j.k == 1', 22, /a path has at most 10 steps/],
  ['$[*][*][*][*][*][*][*] == 1', 20, /at most 6 steps like/],
  ['$[0][0][0] == 1 && $.*.*.*.* == 1', 27, /at most 6 steps like/],
  [Array(31).fill('$.a==1').join('||'), 241, /at most 30 comparisons/],
]

/** Put into filters at random. */
const SCRAPS =
  '$ .a ."b" [*] [0] .* == != < >= && || ! ( ) 1 -2.5 "x" true null .1 ** ? last @ " . \\ \u0301 ü e 0'.split(
    ' ',
  )

t.test('accepts comparisons of a path with a literal, and Postgres reads them too', async (t) => {
  for (const filter of ACCEPTED) {
    t.doesNotThrow(() => checkFilter(filter), filter.slice(0, 80))
    await pool.query('select $1::jsonpath', [filter])
  }
})

t.test('Postgres 15 reads them as well', async (t) => {
  const server = await startDebianPostgres(t)
  if (!server) return t.plan(0, 'Postgres 15 is not installed: apt-get install postgresql')
  for (const filter of ACCEPTED) await server.pool.query('select $1::jsonpath', [filter])
  return t.pass()
})

t.test('says where the mistake is, what was expected there and what was found', async (t) => {
  for (const [filter, at, expected] of REFUSED) {
    try {
      checkFilter(filter)
      t.fail(`accepts ${filter}`)
    } catch (error) {
      t.ok(error instanceof FilterInvalid)
      const { message } = error as FilterInvalid
      t.equal(/^at character (\d+): /.exec(message)?.[1], String(at), `${filter}: ${message}`)
      t.match(message, expected, filter)
    }
  }
})

t.test('whatever it accepts is a predicate to Postgres', async (t) => {
  const random = seeded(7)
  const at = (length: number) => Math.floor(random() * length)
  const mutate = (filter: string) => {
    const from = at(filter.length + 1)
    return filter.slice(0, from) + SCRAPS[at(SCRAPS.length)] + filter.slice(from + at(3))
  }
  const short = ACCEPTED.filter((filter) => filter.length < 100)
  const filters = Array.from({ length: 20_000 }, () =>
    mutate(mutate(short[at(short.length)] ?? '')),
  )
  const accepted = filters.filter(isAccepted)
  t.ok(accepted.length > 500 && accepted.length < 19_500, `${accepted.length} accepted`)
  const { rows } = await pool.query(
    `select f, jsonb_path_query('{"a": 1, "b": [1, 2]}', f::jsonpath, silent => true)::text as v
     from unnest($1::text[]) as f`,
    [accepted],
  )
  t.strictSame([...new Set(rows.map(({ v }) => v))].sort(), ['false', 'null', 'true'])
})

function isAccepted(filter: string): boolean {
  try {
    checkFilter(filter)
    return true
  } catch {
    return false
  }
}

/** mulberry32 */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
