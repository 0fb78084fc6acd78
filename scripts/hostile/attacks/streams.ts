import type { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type Attack, counted, type Finding, finding } from '../attack.ts'
import { describe } from '../client.ts'
import { type Operation, pathsWith } from '../document.ts'
import type { Field } from '../field.ts'
import { dial } from '../raw.ts'

/** More than one tenant may have. */
const HEADS = 60
/** More than a tenant may have, and less than all may. */
const READERS = 40
/** An answer begins at once, or with a refusal. */
const BEGIN_MS = 700
/** For the service to notice that readers have gone. */
const GONE_TRIES_MAX = 20

export const streams: Attack = {
  name: 'streams',
  about: 'HEAD requests and abandoned readers, to close the streams of a tenant and of others',
  async *run(field) {
    for (const stream of field.operations.filter(({ streams }) => streams)) {
      yield await afterHeads(field, stream)
      yield* withManyReaders(field, stream)
    }
  },
}

async function afterHeads(field: Field, stream: Operation): Promise<Finding> {
  const { attacker } = field
  const path = pathOf(stream, attacker.name)
  const heads = await Promise.all(
    Array.from({ length: HEADS }, () => attacker.send('HEAD', path, { readMsMax: BEGIN_MS })),
  )
  const { status } = await attacker.send('GET', path, { readMsMax: BEGIN_MS })
  const answers = `${counted(heads.map(describe))}; then ${status}`
  return finding(`${HEADS} times HEAD ${path}, then a GET`, status === 200, answers)
}

/** One tenant opens all that it gets: others still get theirs, and it gets them again afterwards. */
async function* withManyReaders(field: Field, stream: Operation): AsyncGenerator<Finding> {
  const { attacker, victim } = field
  const path = pathOf(stream, attacker.name)
  const readers = Array.from({ length: READERS }, () => openReader(field, path))
  const statuses = await Promise.all(readers.map(({ begun }) => begun))
  const other = await victim.send('GET', pathOf(stream, victim.name), { readMsMax: BEGIN_MS })
  const answer = `${counted(statuses.map(String))}; the other tenant ${other.status}`
  const held = other.status === 200 && statuses.includes(429) && !statuses.includes(500)
  yield finding(`${READERS} readers of one tenant at ${path}`, held, answer)

  for (const { socket } of readers) socket.destroy()
  const status = await againOpen(field, path)
  yield finding(`a reader after ${READERS} that were cut off`, status === 200, String(status))
}

function openReader(field: Field, path: string): { socket: Socket; begun: Promise<number> } {
  const { target, signal, attacker } = field
  const socket = dial(target, signal)
  const lines = [`GET ${path} HTTP/1.1`, `host: ${target.host}`]
  socket.write(`${lines.join('\r\n')}\r\nauthorization: Bearer ${attacker.key}\r\n\r\n`)
  const begun = new Promise<number>((resolve) => {
    socket.once('data', (bytes) => resolve(Number(bytes.toString('latin1').slice(9, 12))))
    socket.once('close', () => resolve(0))
  })
  return { socket, begun }
}

async function againOpen({ attacker, signal }: Field, path: string): Promise<number> {
  let status = 0
  for (let tries = 0; status !== 200 && tries < GONE_TRIES_MAX; tries += 1) {
    if (tries > 0) await pause(100, undefined, { signal })
    status = (await attacker.send('GET', path, { readMsMax: BEGIN_MS })).status
  }
  return status
}

const pathOf = (stream: Operation, tenant: string): string =>
  pathsWith(stream, tenant, ['x'])[0] ?? stream.path
