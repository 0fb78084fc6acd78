import type { PublishedLine, ReceivedLine } from '../ledger.ts'
import type { Evidence, StoredAttempt } from './judge.ts'

/** An event that one endpoint wanted and got at its first attempt; what a case changes makes it go wrong. */
export function evidence(): Evidence & { published: [PublishedLine]; received: [ReceivedLine] } {
  return {
    published: [
      {
        ...{ n: 1, via: 'sql', outcome: 'accepted', tenant: 'acme', id: 'event' },
        ...{ api: null, deliverAt: null, tries: 1, at: 1_000 },
      },
    ],
    erased: [],
    received: [request({ at: 1_500 })],
    stored: {
      events: [{ id: 'event', n: 1, tenant: 'acme', isErased: false, key: null, position: null }],
      deliveries: [{ id: 'delivery', eventId: 'event', endpoint: '/hook', state: 'delivered' }],
      attempts: [attempt(1, 1_490, 'delivered')],
      markers: [1],
    },
    endpointsOf: new Map([['acme', ['/hook']]]),
    ordered: new Set(['/hook']),
    collapsing: new Set(),
  }
}

export function request(values: Partial<ReceivedLine> = {}): ReceivedLine {
  return { id: 'event', batch: null, endpoint: '/hook', n: 1, at: 1_500, answer: 'ok', ...values }
}

export function attempt(number: number, startedAt: number, outcome: string): StoredAttempt {
  const finishedAt = startedAt + 20
  const sent = { trigger: 'schedule', batchId: null, runner: 'one' }
  return { deliveryId: 'delivery', number, outcome, ...sent, startedAt, finishedAt }
}
