import { parseCidrs } from '../../sending/egress.ts'
import type { AttemptResult } from '../../sending/outcome.ts'
import { createSender, type SenderOptions, type SendRequest } from '../../sending/send.ts'
import { generateSecret } from '../../sending/signature.ts'

export interface TestSender extends AsyncDisposable {
  /** The secret that signs unless a request brings its own. */
  secret: string
  /** Sends a request of which only the URL and what the case is about need to be said. */
  send(url: string, overrides?: Partial<SendRequest>): Promise<AttemptResult>
  close(): Promise<void>
}

export const EVENT_ID = '0198c1f5-7e4a-7000-8000-000000000001'

/** A sender that may dial loopback. */
export function startSender(options: Partial<SenderOptions> = {}): TestSender {
  const sender = createSender({ allow: parseCidrs('127.0.0.0/8, ::1'), ...options })
  const secret = generateSecret()
  return {
    secret,
    send: (url, overrides = {}) =>
      sender.send({
        url,
        eventId: EVENT_ID,
        body: '{"type":"a.b","data":{}}',
        headers: {},
        secrets: [secret],
        timeoutMs: 5_000,
        ...overrides,
      }),
    close: () => sender.close(),
    [Symbol.asyncDispose]: () => sender.close(),
  }
}
