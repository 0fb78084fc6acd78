import t from 'tap'
import { keepBody, RESPONSE_BODY_BYTES_MAX } from './response-body.ts'

const CAP = RESPONSE_BODY_BYTES_MAX

t.test('an empty body is null', async (t) => {
  const body = keepBody()
  t.equal(await body.text(), null)
  t.equal(body.add(Buffer.alloc(0)), false)
  t.equal(await body.text(), null)
})

t.test('keeps exactly the cap and asks to stop one byte after it', async (t) => {
  const body = keepBody()
  t.equal(body.add(Buffer.alloc(CAP, 'a')), false)
  t.equal((await body.text())?.length, CAP)
  t.equal(body.add(Buffer.from('b')), true)
  t.equal(await body.text(), 'a'.repeat(CAP))
})

t.test('cuts a chunk that crosses the cap', async (t) => {
  const body = keepBody()
  body.add(Buffer.alloc(CAP - 1, 'a'))
  t.equal(body.add(Buffer.from('bcd')), true)
  t.equal(await body.text(), `${'a'.repeat(CAP - 1)}b`)
})

t.test('joins a character that came in two chunks', async (t) => {
  const body = keepBody()
  const euro = Buffer.from('€')
  body.add(euro.subarray(0, 1))
  body.add(euro.subarray(1))
  t.equal(await body.text(), '€')
})

t.test('leaves out a character that the cap cut in two', async (t) => {
  const body = keepBody()
  body.add(Buffer.concat([Buffer.alloc(CAP - 1, 'a'), Buffer.from('€')]))
  t.equal(await body.text(), 'a'.repeat(CAP - 1))
})

t.test('marks a character that the receiver left unfinished', async (t) => {
  const body = keepBody()
  body.add(Buffer.from('€').subarray(0, 2))
  t.equal(await body.text(), '\uFFFD')
})

t.test('gives Postgres text it can store: no NUL, no broken UTF-8', async (t) => {
  const body = keepBody()
  body.add(Buffer.from([0x61, 0x00, 0xff, 0xed, 0xa0, 0x80, 0x62]))
  const text = (await body.text()) ?? ''
  t.ok(text.isWellFormed())
  t.notMatch(text, /\0/)
  t.match(text, /^a\uFFFD+b$/)
})
