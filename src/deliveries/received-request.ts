/**
 * The section `webhooks` of the OpenAPI document: the request that receivers get. It is about the receiver's own
 * server, so nothing routes it; Standard Webhooks names the headers.
 */
const text = { type: 'string' } as const

const header = (name: string, description: string, example: string, required = true) => ({
  name,
  in: 'header' as const,
  required,
  description,
  schema: text,
  example,
})

const ID = '019c5c2e-7a4b-7c3d-8e2f-5a6b7c8d9e0f'

const parameters = [
  header('webhook-id', "The event's id; the same in every attempt. Use it to detect repeats.", ID),
  header(
    'webhook-timestamp',
    'When this attempt was signed, in seconds since 1970. Reject what is more than 5 minutes off.',
    '1769860800',
  ),
  header(
    'webhook-signature',
    '`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64. While a secret is rotated there are several, separated by spaces: one match is enough.',
    'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
  ),
  header('user-agent', 'Postrider and its version.', 'Postrider/0.1.0'),
  header(
    'traceparent',
    'The trace that the event belongs to (W3C Trace Context).',
    '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    false,
  ),
]

const body = {
  type: 'object' as const,
  required: ['type', 'timestamp', 'data'],
  properties: {
    type: { ...text, description: 'The event type.' },
    timestamp: { ...text, format: 'date-time', description: 'When the event occurred.' },
    data: {
      description: 'As the producer published it; see the schema of the event type.',
    },
  },
}

const example = {
  type: 'invoice.paid',
  timestamp: '2026-01-31T12:00:00.000Z',
  data: { id: 1, amount: 100 },
}

const BATCH_ID = '019c5c2e-7a4b-7c3d-8e2f-5a6b7c8d9e10'

const batchBody = {
  type: 'object' as const,
  required: ['events'],
  properties: {
    events: {
      type: 'array' as const,
      minItems: 1,
      maxItems: 1000,
      description: 'The oldest first.',
      items: {
        ...body,
        required: ['id', ...body.required],
        properties: {
          id: {
            ...text,
            format: 'uuid',
            description: 'Of the event. Use it to detect repeats, too.',
          },
          ...body.properties,
        },
      },
    },
  },
}

const batchAnswer = {
  type: 'object' as const,
  properties: {
    failed: {
      type: 'array' as const,
      items: { ...text, format: 'uuid' },
      description:
        'Ids of events that have failed. They are sent again without the others, together in a new batch.',
    },
  },
}

/** By the name that viewers show. */
export const RECEIVED_REQUESTS = {
  batch: {
    post: {
      operationId: 'receiveBatch',
      summary: 'Receive batch',
      description:
        'Postrider sends this, in place of single events, to the URL of each endpoint whose `batch` is set, also where there is only one event. The signature is that of the whole body. A batch that is sent again has the same `webhook-id`, and the same events or some of them.',
      tags: ['Webhooks'],
      security: [],
      parameters: [
        {
          ...header('webhook-id', "The batch's id; the same in every attempt.", BATCH_ID),
        },
        ...parameters.slice(1),
      ],
      requestBody: {
        required: true,
        description: 'The headers of the endpoint are sent with it.',
        content: {
          'application/json': {
            schema: batchBody,
            example: { events: [{ id: ID, ...example }] },
          },
        },
      },
      responses: {
        '2XX': {
          description: 'Received. All events are delivered, except the ones in `failed`.',
          content: { 'application/json': { schema: batchAnswer, example: { failed: [] } } },
        },
        413: {
          description: 'Too large: its events are sent again at once, as two batches.',
        },
        '4XX': {
          description:
            'All have failed, and are sent again together by the schedule. `410 Gone` ends their deliveries and disables the endpoint; `429` waits for `Retry-After`.',
        },
        '5XX': {
          description:
            'All have failed, and are sent again together by the schedule; `503` waits for `Retry-After`.',
        },
      },
    },
  },
  event: {
    post: {
      operationId: 'receiveEvent',
      summary: 'Receive event',
      description:
        'Postrider sends this to the URL of each endpoint that subscribes to the event. Verify the signature against the bytes of the body before you parse it, answer within the timeout of the endpoint (15 seconds unless set), and do the work afterwards. The same event can arrive more than once.',
      tags: ['Webhooks'],
      security: [],
      parameters,
      requestBody: {
        required: true,
        description: 'The headers of the endpoint are sent with it.',
        content: { 'application/json': { schema: body, example } },
      },
      responses: {
        '2XX': { description: 'Received. The delivery has succeeded, whatever the body says.' },
        '4XX': {
          description:
            'Failed, and sent again by the schedule. `410 Gone` ends the delivery and disables the endpoint; `429` waits for `Retry-After`.',
        },
        '5XX': {
          description: 'Failed, and sent again by the schedule; `503` waits for `Retry-After`.',
        },
      },
    },
  },
}
