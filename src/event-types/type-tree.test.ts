import t from 'tap'
import { branchesOf, patternsIn, splitTree, withTree } from './type-tree.tsx'

const typesOf = (...names: string[]) =>
  names.map((name) => ({ name, description: '', deprecated_at: null, has_schema: false }))

t.test('types stand under the parts of their names, a part of one type is that type', async (t) => {
  const of = (...names: string[]) => patternsIn(branchesOf(typesOf(...names)))
  t.strictSame(of('order.created', 'order.paid'), ['order.*', 'order.created', 'order.paid'])
  t.strictSame(of('invoice.paid', 'ping'), ['invoice.paid', 'ping'])
  t.strictSame(of('order', 'order.paid'), ['order', 'order.paid'])
  t.strictSame(of('a.b.c', 'a.b.d', 'a.e'), ['a.*', 'a.b.*', 'a.b.c', 'a.b.d', 'a.e'])
  t.strictSame(of('a.b.c.d', 'a.b.c.e'), ['a.*', 'a.b.*', 'a.b.c.*', 'a.b.c.d', 'a.b.c.e'])
  t.strictSame(of('ab.c', 'a.c'), ['ab.c', 'a.c'])
  t.strictSame(of(), [])
})

t.test('boxes and typed patterns become one list and come apart again', async (t) => {
  const values = { url: 'u', 'type:order.*': 'yes', 'type:ping': 'yes', eventTypes: 'a.b, ping' }
  t.strictSame(withTree(values), { url: 'u', eventTypes: 'a.b\nping\norder.*' })
  t.strictSame(withTree({ url: 'u', eventTypes: 'as typed' }), { url: 'u', eventTypes: 'as typed' })
  const { chosen, typed } = splitTree(typesOf('order.a', 'order.b', 'ping'), 'a.b\nping\norder.*')
  t.strictSame([...chosen], ['ping', 'order.*'])
  t.equal(typed, 'a.b')
  t.equal(splitTree([], 'a.b,\nnot a type!').typed, 'a.b,\nnot a type!')
})
