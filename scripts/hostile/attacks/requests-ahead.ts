import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type Attack, type Finding, finding } from '../attack.ts'
import type { Field } from '../field.ts'
import { dial, statusesIn } from '../raw.ts'

const CONNECTIONS = 4
/** As many as a service reads at once. */
const BYTES = 65_000
const CUT_MS_MAX = 10_000
const LIVE_MS_MAX = 5_000

/** Thousands of requests that are sent ahead, for the largest pages there are, by somebody who reads no answer. */
export const requestsAhead: Attack = {
  name: 'requests ahead',
  about: 'thousands of requests on a connection whose answers nobody reads',
  async *run(field) {
    for (const path of ['/docs', '/openapi.json', '/live', '/console/sign-in']) {
      yield await sendAhead(field, path)
    }
  },
}

async function sendAhead(field: Field, path: string): Promise<Finding> {
  const { target, signal, keeper } = field
  const request = `GET ${path} HTTP/1.1\r\nhost: ${target.host}\r\n\r\n`
  const sockets = Array.from({ length: CONNECTIONS }, () => dial(target, signal))
  const closed = sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve)))
  const sent = Math.floor(BYTES / request.length)
  for (const socket of sockets) socket.write(request.repeat(sent))
  const startedAt = performance.now()
  const { status } = await keeper.send('GET', '/live')
  const ms = Math.round(performance.now() - startedAt)
  // The end of a connection is seen by who reads.
  const answers = sockets.map((socket) => countAnswers(socket))
  const isCut = await Promise.race([
    Promise.all(closed).then(() => true),
    pause(CUT_MS_MAX, false, { signal }),
  ])
  for (const socket of sockets) socket.destroy()
  const most = Math.max(...answers.map(({ count }) => count))
  const held = isCut && most < sent && status === 200 && ms <= LIVE_MS_MAX
  const answer = `${most} of ${sent} were answered; /live ${status} in ${ms} ms`
  return finding(`${path} thousands of times, unread`, held, answer)
}

function countAnswers(socket: Socket): { count: number } {
  const answers = { count: 0 }
  socket.on('data', (bytes) => {
    answers.count += statusesIn(bytes.toString('latin1')).length
  })
  return answers
}
