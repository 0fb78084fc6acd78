import { setTimeout as pause } from 'node:timers/promises'
import { type Attack, type Finding, finding } from '../attack.ts'
import type { Field } from '../field.ts'
import { dial } from '../raw.ts'

/** The service gives a head 10 s and a body 30 s; a little more is fine. */
const PATIENCE_MS = 45_000
const PIECE_MS = 500

/** As somebody with a key, since others are refused at once. */
function slowOnes({ attacker: { key } }: Field): [what: string, head: string, piece: string][] {
  const head = `POST /api/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${key}\r\n`
  const publish = `${head}content-type: application/json\r\n`
  return [
    ['a head that trickles', head, 'x: y\r\n'],
    ['a body that trickles', `${publish}content-length: 100000\r\n\r\n`, ' '],
    ['chunks that trickle', `${publish}transfer-encoding: chunked\r\n\r\n`, '1\r\n \r\n'],
    ['a connection that says nothing', '', ''],
  ]
}

export const slowClients: Attack = {
  name: 'slow clients',
  about: 'connections that are held open by a byte now and then; takes half a minute',
  waits: true,
  async *run(field) {
    const all = slowOnes(field).map(([what, head, piece]) => trickle(field, what, head, piece))
    for (const tried of await Promise.all(all)) yield tried
  },
}

async function trickle(
  { target, signal }: Field,
  what: string,
  head: string,
  piece: string,
): Promise<Finding> {
  const socket = dial(target, signal)
  const startedAt = performance.now()
  let isOver = false
  const over = new Promise<void>((resolve) => socket.once('close', () => resolve())).then(() => {
    isOver = true
  })
  socket.resume()
  socket.write(head)
  while (!isOver && performance.now() - startedAt < PATIENCE_MS) {
    if (piece !== '') socket.write(piece)
    await Promise.race([over, pause(PIECE_MS, undefined, { signal })])
  }
  socket.destroy()
  const seconds = Math.round((performance.now() - startedAt) / 1_000)
  return finding(what, isOver, isOver ? `cut off after ${seconds} s` : `open after ${seconds} s`)
}
