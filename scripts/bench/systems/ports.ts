import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const ANSWER_MS_MAX = 30_000
const POLL_MS = 50

/** Whether nobody listens on this port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  server.listen({ port, host: '127.0.0.1' })
  const isListening = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.close()
  return isListening
}

/** Resolves once a GET of the URL is answered, with success unless any answer will do. */
export async function answers(url: string, { any = false } = {}): Promise<void> {
  const deadline = Date.now() + ANSWER_MS_MAX
  while (Date.now() < deadline) {
    const response = await fetch(url).catch(() => null)
    await response?.body?.cancel()
    if (response?.ok || (any && response)) return
    await delay(POLL_MS)
  }
  throw new Error(`${url} did not answer within ${ANSWER_MS_MAX / 1000} s`)
}
