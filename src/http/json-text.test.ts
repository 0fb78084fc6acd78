import t from 'tap'
import { elementsOf, isDeeperThan, memberOf } from './json-text.ts'

const nested = (levels: number) => Buffer.from('['.repeat(levels) + ']'.repeat(levels))

t.test('knows nesting on both sides of the bound', async (t) => {
  t.notOk(isDeeperThan(nested(512), 512))
  t.ok(isDeeperThan(nested(513), 512))
  t.ok(isDeeperThan(Buffer.from('{"a":'.repeat(600)), 512), 'unfinished and of objects')
})

t.test('counts depth, not brackets', async (t) => {
  t.notOk(isDeeperThan(Buffer.from(`[${'[],'.repeat(2000)}[]]`), 512))
  t.notOk(isDeeperThan(Buffer.from(JSON.stringify('['.repeat(2000))), 512), 'in a string')
  t.notOk(
    isDeeperThan(Buffer.from(JSON.stringify(`\\"${'['.repeat(2000)}`)), 512),
    'behind a quote',
  )
  t.ok(isDeeperThan(Buffer.from(`["\\\\",${'['.repeat(2000)}`), 512), 'behind a closed string')
})

t.test('survives what is not JSON', async (t) => {
  for (const text of ['"'.padEnd(2000, 'x'), `"${'\\'.repeat(2001)}`, ']'.repeat(2000)]) {
    t.notOk(isDeeperThan(Buffer.from(text), 512))
  }
})

t.test('finds the value of a member as written', async (t) => {
  const cases: [string, string | undefined][] = [
    ['{"data":1}', '1'],
    ['{"data": 1.0 }', ' 1.0 '],
    ['{"data":"äö"}', '"äö"'],
    ['{"a":{"data":[1,2]},"data":{"x":1},"b":2}', '{"x":1}'],
    ['{"data":[1,{"data":2}], "b":"}"}', '[1,{"data":2}]'],
    ['{"data":1,"data":22}', '22'],
    ['{"d\\u0061ta":333}', '333'],
    ['{"b":",\\"data\\":9"}', undefined],
    ['{}', undefined],
  ]
  for (const [json, value] of cases) {
    t.equal(memberOf(Buffer.from(json), 'data')?.toString(), value, json)
  }
})

t.test('takes an array apart as written', async (t) => {
  const cases: [string, string[]][] = [
    ['{"events":[]}', []],
    ['{"events":[ \n]}', []],
    ['{"events":[1, {"a":[2,3],"b":"],["} ,"x,y"]}', ['1', ' {"a":[2,3],"b":"],["} ', '"x,y"']],
    ['{"a":[1,2],"events":[3],"b":{"events":[4],"c":5}}', ['3']],
    ['{"events":[1,2],"events":[3]}', ['3']],
    ['{"events":{"a":1,"b":2},"events":[3]}', ['3']],
    ['{"\\u0065vents":[1e2]}', ['1e2']],
    ['{"events":[{"events":[1,2]},[[3,4],5]]}', ['{"events":[1,2]}', '[[3,4],5]']],
    ['{"x":"events","y":[1]}', []],
  ]
  for (const [json, elements] of cases) {
    t.strictSame(elementsOf(Buffer.from(json), 'events').map(String), elements, json)
  }
})
