// Made from the OpenAPI document: node scripts/client-types.ts

export type StreamedAttempt = {
  attempt: Attempt
  delivery: Delivery
  /** Null when it was erased. */
  event: { id: string; type: string; occurredAt: string } | null
  /** With include=request. */
  request?: { body: string | null } | undefined
}

export type Attempt = {
  /** UUIDv7. */
  id: string
  number: number
  trigger: 'schedule' | 'manual' | 'replay' | 'test'
  outcome:
    | 'started'
    | 'delivered'
    | 'rejected'
    | 'unreachable'
    | 'blocked'
    | 'abandoned'
    | 'stale'
    | 'interrupted'
  statusCode: number | null
  reason: AttemptReason | null
  /** The reason in detail, for people; the text can change. Next to a `statusCode`, also 2xx: what was wrong with the rest of the response. The status decides, and the connection was closed. */
  error: string | null
  /** More of it, such as the addresses of a name, for operators: null to keys and links of one tenant, and where there is no more. */
  errorDetail: string | null
  durationMs: number | null
  timings: {
    dnsMs: number | null
    connectMs: number | null
    tlsMs: number | null
    firstByteMs: number | null
  }
  requestHeaders: Record<string, string | string[]> | null
  responseHeaders: Record<string, string | string[]> | null
  responseBody: string | null
  /** The batch that it was sent in: the `webhook-id` of the request, whose status, duration and response its attempts share. null = it was sent alone. */
  batchId: string | null
  runner: string
  /** ISO 8601, in UTC. */
  startedAt: string
  /** ISO 8601, in UTC. */
  finishedAt: string | null
}

/**
 * Why an attempt did not deliver.
 * - `status_3xx`: The receiver redirected. Postrider does not follow redirects.
 * - `status_4xx`: The receiver returned 4xx.
 * - `status_5xx`: The receiver returned 5xx.
 * - `status_other`: The receiver returned a status of another class, such as 101.
 * - `timeout_dns`: The attempt timed out during the DNS lookup.
 * - `timeout_connect`: The attempt timed out while connecting, through the proxy if there is one.
 * - `timeout_tls`: The attempt timed out during the TLS handshake.
 * - `timeout_answer`: The request was sent, and the attempt timed out before a status arrived.
 * - `dns_not_found`: DNS does not know the name, or has no address for it.
 * - `dns_failed`: The name servers did not respond, or returned an error.
 * - `connection_refused`: Nothing listens at the address.
 * - `connection_unreachable`: There is no route to the address.
 * - `connection_closed`: The connection was closed before a status arrived.
 * - `connection_failed`: The connection failed for another reason.
 * - `tls_certificate`: The certificate of the receiver is not trusted: expired, for another name, or from an unknown authority.
 * - `tls_client_certificate`: The receiver requires a client certificate, or refused the one it got; or the certificate cannot be used.
 * - `tls_protocol`: Both sides have no TLS version or cipher in common, or the receiver refused the name.
 * - `tls_failed`: The TLS handshake failed for another reason.
 * - `bad_answer`: The response is not valid HTTP.
 * - `unsendable`: The URL or a header of the endpoint cannot be put into a request.
 * - `item_failed`: The receiver took the batch and named this event as failed, so it is sent again with the others that failed; or named events in a response that cannot be read, so the whole batch is sent again.
 * - `proxy_refused`: The proxy of this service does not allow the receiver.
 * - `proxy_failed`: The proxy of this service cannot be reached, or did not connect.
 * - `blocked_address`: The URL contains an address that is not allowed. Final.
 * - `blocked_name`: All addresses of the name are not allowed. Retried, as DNS can be wrong for a while.
 * - `blocked_url`: The URL cannot be read, or its scheme is not allowed. Final.
 * - `erased`: The data of the event was erased, so there is nothing to send. Final.
 * - `secret_unreadable`: No key opens the secret, the client key or a secret header of the endpoint. Its deliveries are held until one does.
 * - `fault`: Internal error before the request was sent. Retried on schedule.
 * - `runner_stopped`: The runner stopped before the receiver responded.
 * - `keepalive_closed`: The receiver closed the kept-alive connection while it was used.
 * - `runner_lost`: The runner was lost before the outcome was recorded.
 */
export type AttemptReason =
  | 'status_3xx'
  | 'status_4xx'
  | 'status_5xx'
  | 'status_other'
  | 'timeout_dns'
  | 'timeout_connect'
  | 'timeout_tls'
  | 'timeout_answer'
  | 'dns_not_found'
  | 'dns_failed'
  | 'connection_refused'
  | 'connection_unreachable'
  | 'connection_closed'
  | 'connection_failed'
  | 'tls_certificate'
  | 'tls_client_certificate'
  | 'tls_protocol'
  | 'tls_failed'
  | 'bad_answer'
  | 'unsendable'
  | 'item_failed'
  | 'proxy_refused'
  | 'proxy_failed'
  | 'blocked_address'
  | 'blocked_name'
  | 'blocked_url'
  | 'erased'
  | 'secret_unreadable'
  | 'fault'
  | 'runner_stopped'
  | 'keepalive_closed'
  | 'runner_lost'

export type Delivery = {
  /** UUIDv7. */
  id: string
  /** UUIDv7. */
  eventId: string
  /** UUIDv7. */
  endpointId: string
  state: 'pending' | 'delivering' | 'delivered' | 'failed' | 'held' | 'cancelled' | 'collapsed'
  heldReason: HeldReason | null
  /** Where its endpoint orders by key or collapses. */
  orderingKey: string | null
  /** Where it is collapsed: the newer event of its ordering key that replaced it. That one can be collapsed in turn. */
  collapsedBy: string | null
  attemptCount: number
  /** Whether one attempt ends it, whatever the outcome: a test event, an event that was sent again, or a recovery. False: retried on the schedule of its endpoint. */
  oneAttempt: boolean
  /** ISO 8601, in UTC; in the past when it is due and runners are busy. Where a limit of the endpoint has put it off, when its turn is. */
  nextAttemptAt: string | null
  /** ISO 8601, in UTC. */
  createdAt: string
  /** ISO 8601, in UTC. */
  finishedAt: string | null
}

/**
 * Why a delivery is held at this moment. Null while it is not held.
 * - `disabled`: The endpoint is disabled.
 * - `paused`: The endpoint is paused, or all deliveries are.
 * - `suspended`: The tenant is suspended.
 * - `secret`: No key of the service opens the secret or the client key of the endpoint.
 * - `circuit`: The endpoint is failing: only a probe is sent now and then.
 * - `order`: An earlier event with the same ordering key has not ended.
 */
export type HeldReason = 'disabled' | 'paused' | 'suspended' | 'secret' | 'circuit' | 'order'

export type Published = {
  /** UUIDv7. */
  id: string
  /** Endpoints that it goes to. */
  deliveries: number
  /** Stored by an earlier request with the same idempotency key. */
  duplicate: boolean
}

export type Problem = {
  type: string
  title: string
  status: number
  /** Stable, for programs. */
  code: string
  detail: string
  errors: { field: string; message: string }[]
}

export type NewEvent = {
  /** Key of the tenant. Optional with a key of one tenant. */
  tenant?: string | null | undefined
  /** A dotted name. Names that begin with `postrider.` are for the service itself. */
  type: string
  /** Any JSON except null. Reaches the receiver byte by byte. */
  data: unknown
  /** When it happened. Default: now. */
  occurredAt?: string | null | undefined
  /** Not before then, up to 30 days ahead. */
  deliverAt?: string | null | undefined
  /** What the event is about. Endpoints that order by key get the events of one key one after another, in the order in which they were published. */
  orderingKey?: string | null | undefined
  /** Up to 5 channels. Endpoints with channels get it if they have one of these; without any, only endpoints without channels do. */
  channels?: string[] | null | undefined
}

export type NewBatch = { events: BatchedEvent[] }

export type BatchedEvent = {
  /** Key of the tenant. Optional with a key of one tenant. */
  tenant?: string | null | undefined
  /** A dotted name. Names that begin with `postrider.` are for the service itself. */
  type: string
  /** Any JSON except null. Reaches the receiver byte by byte. */
  data: unknown
  /** When it happened. Default: now. */
  occurredAt?: string | null | undefined
  /** Not before then, up to 30 days ahead. */
  deliverAt?: string | null | undefined
  /** What the event is about. Endpoints that order by key get the events of one key one after another, in the order in which they were published. */
  orderingKey?: string | null | undefined
  /** Up to 5 channels. Endpoints with channels get it if they have one of these; without any, only endpoints without channels do. */
  channels?: string[] | null | undefined
  /** Up to 255 characters. A repeat within 7 days returns the first event. */
  idempotencyKey?: string | null | undefined
}

export type Tenant = {
  /** UUIDv7. */
  id: string
  key: string
  name: string
  /** The second id that you gave it through a Svix SDK, which sets it; null = none. */
  uid: string | null
  /** ISO 8601, in UTC. */
  createdAt: string
  /** ISO 8601, in UTC. */
  suspendedAt: string | null
  /** Progress of its deletion; null = it is not being deleted. */
  deleting: {
    /** ISO 8601, in UTC. */
    startedAt: string
    deletedRows: number
    /** Rows that are left; 10000 stands for that many or more. Null in lists. */
    remaining: { events: number; deliveries: number } | null
  } | null
}

export type TenantInput = { name?: string | undefined }

export type ApiKeyWithKey = ApiKey & {
  /** Shown this once. */
  key: string
}

export type ApiKey = {
  /** UUIDv7. */
  id: string
  name: string
  scopes: ('publish' | 'read' | 'reveal' | 'manage' | 'admin')[]
  /** Key of the only tenant it can access; null = every tenant. */
  tenant: string | null
  /** ISO 8601, in UTC. */
  expiresAt: string | null
  /** To the minute. */
  lastUsedAt: string | null
  /** ISO 8601, in UTC. */
  revokedAt: string | null
  /** ISO 8601, in UTC. */
  createdAt: string
}

export type NewApiKey = {
  /** What it is for. */
  name: string
  /** `admin` includes the others, and can create keys. */
  scopes: ('publish' | 'read' | 'reveal' | 'manage' | 'admin')[]
  /** Key of the only tenant it can access. Default: every tenant. */
  tenant?: string | null | undefined
  /** Left out: never. */
  expiresAt?: string | null | undefined
}

export type EndpointWithSecret = Endpoint & {
  /** Exactly as it was given, or generated. */
  secret: string
  /** Of an ed25519 secret: what the receiver verifies with, `whpk_…`. */
  publicKey: string | null
  /** How the secret is read: the bytes that it stands for in this encoding sign, without the prefix `whsec_` or `whsk_`. text: its own UTF-8 bytes, prefix included. */
  secretEncoding: 'base64' | 'base64url' | 'hex' | 'text'
  /** In words, if the secret is weak or the receiver can read it differently. */
  secretWarning: string | null
}

export type Endpoint = {
  /** UUIDv7. */
  id: string
  url: string
  /** The id that you gave it through a Svix SDK, which sets it; null = none. */
  uid: string | null
  description: string
  purpose: string | null
  eventTypes: string[]
  channels: string[] | null
  filter: string | null
  /** Sent along. *** stands for the value of a secret one. */
  headers: Record<string, string>
  /** Names of secret headers: they look like credentials, or somebody marked them. */
  secretHeaders: string[]
  state: 'active' | 'paused' | 'disabled'
  disabledReason: string | null
  /** Since when its deliveries are held because no key of the service opens its secret or client key; null = they are not. */
  unreadableSince: string | null
  ratePerSecond: number | null
  maxInFlight: number | null
  timeoutSeconds: number | null
  retrySchedule: number[] | null
  ordering: 'none' | 'key'
  onFailure: 'block' | 'skip'
  /** Of the waiting events with the same ordering key only the newest is sent; the others end as collapsed. What is being sent is not replaced. Null: every event is sent. */
  collapse: {
    /** Milliseconds after the first of the waiting events of a key, at the latest. */
    waitMs: number
  } | null
  /** What is sent together; null = each event is sent separately. */
  batch: { maxEvents: number; maxWaitMs: number; maxBytes: number } | null
  shape:
    | 'standard'
    | 'raw'
    | 'thin'
    | 'fields'
    | 'cloudevents'
    | 'cloudevents-binary'
    | 'slack'
    | 'teams'
    | 'discord'
    | 'svix'
  shapeFields: string[] | null
  shapeTemplate: string | null
  signatureHeaders: Record<string, string>
  webhookSignature: 'send' | 'omit'
  metadata: Record<string, string>
  /** ISO 8601, in UTC. */
  createdAt: string
}

export type NewEndpoint = {
  /** Letters beyond ASCII are allowed: they are stored as given, and sent as RFC 3986 requires (%C3%BC). */
  url: string
  description?: string | undefined
  /** What it is for; null = not said. */
  purpose?: string | null | undefined
  eventTypes?: string[] | undefined
  /** It gets only events that were published to one of these channels, at most 10; null = every event. */
  channels?: string[] | null | undefined
  /** SQL/JSON path predicate on the data; null = every event. Comparisons (== != < <= > >=) of a path ($.a."b c"[0][*].*) with a literal (a number, "text", true, false, null), joined by && and ||, grouped by parentheses, negated by !(…). Keys other than letters, digits and _ are quoted. */
  filter?: string | null | undefined
  /** Sent along. At most 20; names that Postrider sets are rejected. Values of secret ones are encrypted and never shown again: where *** stands for one, giving that back leaves it as it is. */
  headers?: Record<string, string> | undefined
  /** Names of headers whose values are secret. Headers that look like credentials (Authorization, Cookie, X-Api-Key …) always are. Default: unchanged. */
  secretHeaders?: string[] | undefined
  /** Requests per second at most, over all runners; null = no limit. A change reaches what waits already. */
  ratePerSecond?: number | null | undefined
  /** Requests in flight at most, over all runners; null = no limit. A change reaches what waits already. */
  maxInFlight?: number | null | undefined
  timeoutSeconds?: number | null | undefined
  /** Seconds before the 2nd, 3rd, … attempt. */
  retrySchedule?: number[] | null | undefined
  /** key: events with the same ordering key are sent one after another, in the order in which they were published. none: as fast as they come. Set to none, what waits is sent, 100 a second. */
  ordering?: 'none' | 'key' | undefined
  /** With ordering by key, when an event has used up its retry schedule. block: later events of its key wait until it is retried with success, or skipped. skip: the next one is sent. */
  onFailure?: 'block' | 'skip' | undefined
  /** Of the waiting events with the same ordering key only the newest is sent; the others end as collapsed. What is being sent is not replaced. Null: every event is sent. */
  collapse?:
    | {
        /** Milliseconds after the first of the waiting events of a key, at the latest. */
        waitMs: number
      }
    | null
    | undefined
  /** Events that are due go together in one request, as the webhook `batch`, once there are `maxEvents` of them, or the body has `maxBytes`, or the first of them has waited for `maxWaitMs`. An event that is larger goes alone. null = each event in a separate request. */
  batch?:
    | {
        maxEvents?: number | undefined
        maxWaitMs?: number | undefined
        maxBytes?: number | undefined
      }
    | null
    | undefined
  /** What it is sent of an event: `standard` ({type, timestamp, data}), `raw` (the data alone), `thin` ({id, type, timestamp, link}), `fields` (standard, with the members of the data that `shapeFields` names), `cloudevents` or `cloudevents-binary` (CloudEvents 1.0), a message of `shapeTemplate` for `slack`, `teams` or `discord`, or `svix` (the data alone, with the headers and ids that Svix sends). */
  shape?: Endpoint['shape'] | undefined
  /** With the shape `fields`: paths of the members of the data that are sent; at most 50. What an event does not have is left out. */
  shapeFields?: string[] | null | undefined
  /** With the shapes `slack`, `teams` and `discord`: the text. {{type}}, {{id}}, {{timestamp}}, {{data}} and paths such as {{data.customer.name}} stand for what the event has. null = {{type}} {{data}}. */
  shapeTemplate?: string | null | undefined
  /** Headers in the form of other schemes, next to `webhook-signature` or instead of it (`webhookSignature`); at most 5. `{hmac_hex}` and `{hmac_base64}` are HMAC-SHA256 over what stands behind “ over ”; `{timestamp}`, `{id}` and `{body}` are those of the request. What is in brackets is there once for each live secret. */
  signatureHeaders?: Record<string, string> | undefined
  /** Whether `webhook-signature` is sent. To omit it, `signatureHeaders` has to have a signature. */
  webhookSignature?: 'send' | 'omit' | undefined
  metadata?: Record<string, string> | undefined
  /** Your own, for example one that the receiver has from another system. Default: generated. Stored and shown exactly as given: visible characters, 8 to 256 bytes. */
  secret?: string | undefined
  /** Of the secret that is generated. hmac: the receiver knows it too. ed25519: the receiver has the public key, with which nobody can sign. */
  secretKind?: 'hmac' | 'ed25519' | undefined
  /** How the secret is read, whether given or generated. Default: by its form, which the response shows: `whsec_` and base64 of 24 to 75 bytes (Standard Webhooks, Svix) and `whsk_` as base64, all others as text (GitHub, Convoy, Outpost; use `text` for Stripe); a secret that is almost base64 is rejected. */
  secretEncoding?: 'base64' | 'base64url' | 'hex' | 'text' | undefined
}

export type EndpointChange = Change<Omit<NewEndpoint, 'secret' | 'secretKind' | 'secretEncoding'>>

export type Secrets = {
  /** Exactly as it was given, or generated. */
  secret: string
  /** Of an ed25519 secret: what the receiver verifies with, `whpk_…`. */
  publicKey: string | null
  /** How the secret is read: the bytes that it stands for in this encoding sign, without the prefix `whsec_` or `whsk_`. text: its own UTF-8 bytes, prefix included. */
  encoding: 'base64' | 'base64url' | 'hex' | 'text'
  /** In words, if the secret is weak or the receiver can read it differently. */
  warning: string | null
  /** ISO 8601, in UTC. */
  createdAt: string
  /** Replaced ones that still sign, until their overlap ends. */
  expiring: {
    /** Exactly as it was given, or generated. */
    secret: string
    /** Of an ed25519 secret: what the receiver verifies with, `whpk_…`. */
    publicKey: string | null
    /** How the secret is read: the bytes that it stands for in this encoding sign, without the prefix `whsec_` or `whsk_`. text: its own UTF-8 bytes, prefix included. */
    encoding: 'base64' | 'base64url' | 'hex' | 'text'
    /** In words, if the secret is weak or the receiver can read it differently. */
    warning: string | null
    /** ISO 8601, in UTC. */
    createdAt: string
    /** ISO 8601, in UTC. */
    expiresAt: string
  }[]
}

export type SecretRotation = {
  /** Your own, for example one that the receiver has from another system. Default: generated. Stored and shown exactly as given: visible characters, 8 to 256 bytes. */
  secret?: string | undefined
  /** Of the secret that is generated. Default: that of the current one. */
  kind?: 'hmac' | 'ed25519' | undefined
  /** How the secret is read, whether given or generated. Default: by its form, which the response shows: `whsec_` and base64 of 24 to 75 bytes (Standard Webhooks, Svix) and `whsk_` as base64, all others as text (GitHub, Convoy, Outpost; use `text` for Stripe); a secret that is almost base64 is rejected. A generated one is read as the current one is. */
  encoding?: 'base64' | 'base64url' | 'hex' | 'text' | undefined
  /** How long the old secret also signs. */
  overlapSeconds?: number | undefined
}

export type ClientCertificate = {
  subject: string
  issuer: string
  serialNumber: string
  /** SHA-256, `AB:CD:…`. */
  fingerprint: string
  validFrom: string
  validTo: string
}

export type NewClientCertificate = {
  /** PEM: the endpoint's own first, then those of the authorities between. */
  certificate: string
  /** PEM, without a passphrase. Encrypted at rest, and never shown again. */
  privateKey: string
}

export type EnabledEndpoint = Endpoint & {
  /** Events that were published while it was disabled have no delivery to it. Null when it was not disabled, or is not enabled yet. */
  missed: {
    /** When it was disabled. */
    since: string
    /** When it was enabled. */
    until: string
    /** How to deliver them, for people. */
    how: string
    /** The body of `POST …/replays` that delivers them. */
    replay: { mode: 'missed'; endpointId: string; since: string; until: string }
  } | null
}

export type EnableEndpoint = {
  /** Whether held deliveries are sent; false cancels them. */
  deliverHeld?: boolean | undefined
}

export type Match = {
  matched: boolean
  reason: 'type' | 'channel' | 'filter' | 'disabled' | null
  /** The reason in words. */
  detail: string | null
  /** The event types that fit. */
  patterns: string[]
  /** Null: the filter cannot tell, such as text compared with a number. */
  filterResult: boolean | null
}

export type MatchQuery = {
  type: string
  /** Any JSON except null. Reaches the receiver byte by byte. */
  data: unknown
  /** Up to 5 channels. Endpoints with channels get it if they have one of these; without any, only endpoints without channels do. */
  channels?: string[] | null | undefined
  eventTypes?: string[] | undefined
  /** SQL/JSON path predicate on the data; null = every event. Comparisons (== != < <= > >=) of a path ($.a."b c"[0][*].*) with a literal (a number, "text", true, false, null), joined by && and ||, grouped by parentheses, negated by !(…). Keys other than letters, digits and _ are quoted. */
  filter?: string | null | undefined
}

export type TestAttempt = Attempt & { eventId: string; deliveryId: string }

export type TestEvent = {
  type?: string | undefined
  /** Any JSON except null. Default: an example. */
  data?: unknown | undefined
}

export type EndpointStats = {
  hour: {
    attempts: number
    /** Outcome → attempts; what did not happen is left out. */
    outcomes: {
      started?: number | undefined
      delivered?: number | undefined
      rejected?: number | undefined
      unreachable?: number | undefined
      blocked?: number | undefined
      abandoned?: number | undefined
      stale?: number | undefined
      interrupted?: number | undefined
    }
    p50Ms: number | null
    p95Ms: number | null
    p99Ms: number | null
  }
  day: EndpointStats['hour']
  /** Set where a busy tenant had more attempts than are looked at: none before count. */
  countedSince: string | null
}

export type Event = {
  /** UUIDv7. */
  id: string
  type: string
  /** As published, to the byte, unless members of it are masked. */
  data?: unknown | undefined
  /** Whether the event type masks members of `data`. */
  masked: boolean
  /** ISO 8601, in UTC. */
  occurredAt: string
  /** ISO 8601, in UTC. */
  createdAt: string
  idempotencyKey: string | null
  orderingKey: string | null
  channels: string[] | null
  deliveries: Delivery[]
}

export type EventWithRouting = Event & {
  /** Up to 100 endpoints of the tenant; the ones that got the event come first. */
  routing: Route[]
}

export type Route = {
  /** UUIDv7. */
  endpointId: string
  url: string
  matched: boolean
  reason:
    | 'type'
    | 'channel'
    | 'filter'
    | 'filter_waiting'
    | 'disabled'
    | 'created_later'
    | 'changed_later'
    | 'erased'
    | 'test'
    | null
  /** The reason in words. */
  detail: string | null
  /** The endpoint was changed after the event; the reason is about how it is now. */
  changedSince: boolean
  /** UUIDv7. */
  deliveryId: string | null
}

export type EventType = {
  name: string
  description: string
  schema?: unknown | undefined
  mask: string[]
  deprecatedAt: string | null
  /** Since when lists of the Svix-compatible API leave it out; it is still published and delivered. */
  archivedAt: string | null
  createdAt: string
  updatedAt: string
}

export type ExampleEvent = { type: string; timestamp: string; data?: unknown | undefined }

export type EventTypeVersion = { version: number; schema?: unknown | undefined; createdAt: string }

export type EventTypeChange = {
  description?: string | undefined
  /** JSON Schema 2020-12 of the data, with local references only; null = none. */
  schema?: Record<string, unknown> | boolean | null | undefined
  /** Members of the data that the API and the console show as `***`: paths such as `customer.email`, through arrays; `*` = all of it. Receivers get them. A key with `reveal` sees them, one event at a time, in the audit log. */
  mask?: string[] | undefined
  deprecated?: boolean | undefined
}

export type DeliveryWithAttempts = Delivery & { attempts: Attempt[] }

export type ReplayPreview = { count: number }

export type Replay = {
  id: string
  /** retry, cancel and release: bulk jobs. */
  mode: 'redeliver' | 'missed' | 'retry' | 'cancel' | 'release'
  state: 'running' | 'done' | 'cancelled'
  endpointId: string | null
  since: string
  until: string
  eventTypes: string[]
  states: string[]
  statusClass: number | null
  ratePerSecond: number
  /** How many there were when it began; 100,000 = at least. */
  total: number
  /** How many it has made due. */
  done: number
  /** How many it passed over: in flight, endpoint accepts no work, or data gone. */
  skipped: number
  /** Whether what had ended is tried once, without its retry schedule: a recovery. */
  oneAttempt: boolean
  createdAt: string
  finishedAt: string | null
}

export type NewReplay = {
  /** redeliver: finished deliveries are sent again. missed: events that match the endpoint and have no delivery to it get one. */
  mode?: 'redeliver' | 'missed' | undefined
  /** Only this endpoint. */
  endpointId?: string | undefined
  /** Only what was created since then. */
  since: string
  /** Only what was created before. Default: now. */
  until?: string | undefined
  eventTypes?: string[] | undefined
  /** redeliver: only deliveries that ended so. Default: failed. */
  states?: ('delivered' | 'failed' | 'cancelled' | 'collapsed')[] | undefined
  /** redeliver: only if the last response was of this class: 4 for 4xx. */
  statusClass?: number | undefined
  ratePerSecond?: number | undefined
  /** Only count. */
  preview?: boolean | undefined
}

export type BulkPreview = {
  /** 100,000 = at least. */
  count: number
  sample: {
    /** UUIDv7. */
    id: string
    state: 'pending' | 'delivering' | 'held' | 'delivered' | 'failed' | 'cancelled' | 'collapsed'
    /** UUIDv7. */
    endpointId: string
    url: string
    eventType: string | null
  }[]
}

export type NewBulkJob = {
  /**
   * - `retry`: failed, cancelled and pending deliveries get their next attempt.
   * - `cancel`: open deliveries end.
   * - `release`: deliveries that a circuit holds are sent.
   * - `redeliver`: finished deliveries are sent again.
   */
  action: 'retry' | 'cancel' | 'release' | 'redeliver'
  /** Only these deliveries. Left out: all that match. */
  deliveryIds?: string[] | undefined
  endpointId?: string | undefined
  eventId?: string | undefined
  eventTypes?: string[] | undefined
  /** Only deliveries in these states. Left out: all that the action applies to, except collapsed ones. */
  states?:
    | ('pending' | 'delivering' | 'held' | 'delivered' | 'failed' | 'cancelled' | 'collapsed')[]
    | undefined
  /** 5: the last attempt returned 5xx. */
  statusClass?: number | undefined
  reason?: AttemptReason | undefined
  /** Only what was created since then. */
  since?: string | undefined
  /** Only what was created before. */
  until?: string | undefined
  /** Deliveries per second. Default: 50, and 1,000 to cancel. */
  ratePerSecond?: number | undefined
  /** Only count, and show the first ten. */
  preview?: boolean | undefined
}

export type Incident = {
  /** UUIDv7. */
  id: string
  tenant: string
  /** UUIDv7. */
  endpointId: string
  url: string
  description: string
  endpointState: 'active' | 'paused' | 'disabled'
  state: 'open' | 'closed'
  cause: IncidentCause
  /** Who likely caused it. `ours`: 3 tenants and 20 % of the active endpoints have the same network cause, this service has an alarm, or the cause says so. Null to keys of one tenant. */
  verdict: 'ours' | 'theirs' | null
  /** ISO 8601, in UTC. */
  firstSeenAt: string
  /** ISO 8601, in UTC. */
  lastSeenAt: string
  /** Failed attempts with this cause. */
  failures: number
  /** Deliveries of the endpoint that are on hold now, not counting deliveries that wait for an earlier event of their ordering key; 10,000 = at least. */
  held: number
  /** Deliveries of the endpoint that wait for an earlier event of their ordering key; 10,000 = at least. */
  waiting: number
  lastStatusCode: number | null
  /** Result of the last failed attempt, in words; null if nothing was sent. */
  lastResponse: string | null
  /** UUIDv7. */
  lastDeliveryId: string | null
  /** Since when deliveries are on hold, except for a probe now and then. */
  circuitOpenedAt: string | null
  /** ISO 8601, in UTC. */
  nextProbeAt: string | null
  /** ISO 8601, in UTC. */
  acknowledgedAt: string | null
  /** Null to keys of one tenant. */
  acknowledgedBy: string | null
  /** Note for operators. Null to keys of one tenant. */
  note: string | null
  /** When the customer was notified. */
  notifiedAt: string | null
  /** ISO 8601, in UTC. */
  closedAt: string | null
  /** recovered: a delivery succeeded, or the endpoint was enabled. quiet: nothing was sent for two days. deleted: the endpoint. */
  closedReason: 'recovered' | 'quiet' | 'deleted' | null
}

/**
 * - `server_error`: The receiver returns a server error.
 * - `unauthorized`: The receiver rejects requests as unauthorized.
 * - `not_found`: Nothing accepts webhooks at this URL.
 * - `client_error`: The receiver rejects the request.
 * - `other_status`: The receiver returns a redirect or an unexpected status.
 * - `timeout`: The receiver does not respond in time.
 * - `dns`: The host name cannot be resolved.
 * - `tls`: The TLS handshake fails.
 * - `unreachable`: The connection is refused or closed, has no route, or is not HTTP.
 * - `blocked`: The URL or its address is not allowed.
 * - `ours`: A proxy failed, a secret cannot be decrypted, or this service has a bug.
 */
export type IncidentCause =
  | 'server_error'
  | 'unauthorized'
  | 'not_found'
  | 'client_error'
  | 'other_status'
  | 'timeout'
  | 'dns'
  | 'tls'
  | 'unreachable'
  | 'blocked'
  | 'ours'

export type IncidentWithMessage = Incident & {
  /** What to tell the customer. Null to keys of one tenant: it follows from the verdict. */
  message: string | null
}

export type IncidentNote = {
  /** Replaces the previous note; an empty one removes it. */
  note: string
}

export type NotifyCustomer = {
  /** Left out: `message` of the incident. */
  message?: string | undefined
}

export type SearchResult = {
  data: SearchHit[]
  /** The data of older events was not looked through; null = all was. */
  searchedBackTo: string | null
}

export type SearchHit = {
  kind: 'tenant' | 'endpoint' | 'event' | 'delivery' | 'incident' | 'replay' | 'event_type'
  /** The name where it is an event type. */
  id: string
  tenant: string | null
  /** Its name. */
  title: string
  /** What the text was found in. */
  matched:
    | 'id'
    | 'key'
    | 'name'
    | 'url'
    | 'description'
    | 'uid'
    | 'idempotency_key'
    | 'ordering_key'
    | 'data'
  state: string | null
  /** ISO 8601, in UTC. */
  createdAt: string | null
  /** What became of an event or a delivery, as a sentence; of the first 5. Null for anything else. */
  answer: string | null
}

export type OrderingKey = {
  key: string
  /** UUIDv7. */
  endpointId: string
  /** blocked: the event whose turn it is has failed, and the others wait until it is retried with success, or skipped. held: the endpoint accepts no deliveries. moving: otherwise. */
  state: 'blocked' | 'held' | 'moving'
  /** ISO 8601, in UTC. */
  blockedAt: string | null
  /** How many wait behind it; 10,000 = at least. */
  waiting: number
  /** The event whose turn it is. */
  eventId: string | null
  /** UUIDv7. */
  deliveryId: string
  deliveryState: string | null
  /** ISO 8601, in UTC. */
  nextAttemptAt: string | null
  /** ISO 8601, in UTC. */
  lastAttemptAt: string | null
  lastStatusCode: number | null
  lastError: string | null
  /** The event that comes next. */
  nextEventId: string | null
}

export type Skipped = {
  /** Whether all is done. If false, more is waiting: call it again. */
  isDone: boolean
}

export type SkipTo = {
  /** It is sent next. */
  eventId: string
}

export type ServiceState = {
  /** Since when nothing is sent; null = deliveries go out. */
  pausedAt: string | null
  /** Who paused, as in the audit log. */
  pausedBy: string | null
}

export type PortalLink = {
  /** For the customer. Anyone with the link has its permissions. */
  url: string
  expiresAt: string
}

export type NewPortalLink = {
  /** How long the link, and every session that it opens, lasts; 1440 (a day) at most. */
  minutes?: number | undefined
  /** `read`: read-only. `manage`: also edits endpoints and retries. */
  access?: 'read' | 'manage' | undefined
  /** Title of the pages. Default: Webhooks. */
  name?: string | undefined
  /** Colour of buttons and links; shades keep the contrast. Default: `PORTAL_ACCENT`. */
  accent?: string | undefined
  /** Data URL of a PNG, JPEG, WebP or GIF image of at most 64 KiB, or an https URL that browsers load it from. Default: `PORTAL_LOGO_FILE`. */
  logo?: string | undefined
  /** The customer can choose another. Default: light or dark as the system of the customer. */
  theme?: 'light' | 'dark' | undefined
  /** Language of the pages, and of their dates and numbers. Default: that of the browser, otherwise English. */
  locale?: 'en' | 'de' | undefined
  /** Link back to your app, http or https. Default: none. */
  backUrl?: string | undefined
}

export type Readiness = { ready: boolean; checks: Record<string, string> }

/** Any of its members. */
export type Change<Thing> = { [Member in keyof Thing]?: Thing[Member] | undefined }

export type Paging = {
  /** How many at most. */
  limit?: number | undefined
  /** `nextCursor` of the page before. */
  cursor?: string | undefined
}

/** What each operation takes and answers, by method and path. */
export interface Operations {
  /** Get metrics */
  'GET /metrics': { answer: never }
  /** Publish event */
  'POST /api/events': {
    headers?: {
      /** Up to 255 characters. A repeat within 7 days returns the first event. */
      'Idempotency-Key'?: string | undefined
      /** W3C trace context of the producer. Stored with the event; its deliveries continue it. */
      traceparent?: string | undefined
      /** Kept next to `traceparent`, up to 512 characters. Receivers never get it. */
      tracestate?: string | undefined
    }
    body: NewEvent
    answer: Published
  }
  /** Publish events in a batch */
  'POST /api/events/batch': {
    headers?: {
      /** W3C trace context of the producer. Stored with the event; its deliveries continue it. */
      traceparent?: string | undefined
      /** Kept next to `traceparent`, up to 512 characters. Receivers never get it. */
      tracestate?: string | undefined
    }
    body: NewBatch
    answer: { data: Published[] }
  }
  /** Create or update tenant */
  'PUT /api/tenants/{tenant}': {
    path: {
      /** Its key. */
      tenant: string
    }
    body?: TenantInput
    answer: Tenant
  }
  /** Get tenant */
  'GET /api/tenants/{tenant}': {
    path: {
      /** Its key. */
      tenant: string
    }
    answer: Tenant
  }
  /** Update tenant */
  'PATCH /api/tenants/{tenant}': {
    path: {
      /** Its key. */
      tenant: string
    }
    body: TenantInput
    answer: Tenant
  }
  /** Delete tenant */
  'DELETE /api/tenants/{tenant}': {
    path: {
      /** Its key. */
      tenant: string
    }
    answer: Tenant
  }
  /** List tenants */
  'GET /api/tenants': {
    query?: Paging & {
      /** Whether admins see those of the service itself (`postrider:…`) too. */
      reserved?: 'true' | 'false' | undefined
    }
    answer: { data: Tenant[]; nextCursor: string | null }
  }
  /** Suspend tenant */
  'POST /api/tenants/{tenant}/suspend': {
    path: {
      /** Its key. */
      tenant: string
    }
    answer: Tenant
  }
  /** Resume tenant */
  'POST /api/tenants/{tenant}/resume': {
    path: {
      /** Its key. */
      tenant: string
    }
    answer: Tenant
  }
  /** Create API key */
  'POST /api/keys': { body: NewApiKey; answer: ApiKeyWithKey }
  /** List API keys */
  'GET /api/keys': {
    query?: Paging & {
      /** Only those of this tenant. */
      tenant?: string | undefined
    }
    answer: { data: ApiKey[]; nextCursor: string | null }
  }
  /** Revoke API key */
  'DELETE /api/keys/{id}': { path: { id: string }; answer: undefined }
  /** Create endpoint */
  'POST /api/tenants/{tenant}/endpoints': {
    path: { tenant: string }
    body: NewEndpoint
    answer: EndpointWithSecret
  }
  /** List endpoints */
  'GET /api/tenants/{tenant}/endpoints': {
    path: { tenant: string }
    query?: Paging
    answer: { data: Endpoint[]; nextCursor: string | null }
  }
  /** Get endpoint */
  'GET /api/tenants/{tenant}/endpoints/{id}': {
    path: { tenant: string; id: string }
    answer: Endpoint
  }
  /** Update endpoint */
  'PATCH /api/tenants/{tenant}/endpoints/{id}': {
    path: { tenant: string; id: string }
    body: EndpointChange
    answer: Endpoint
  }
  /** Delete endpoint */
  'DELETE /api/tenants/{tenant}/endpoints/{id}': {
    path: { tenant: string; id: string }
    answer: undefined
  }
  /** List signing secrets */
  'GET /api/tenants/{tenant}/endpoints/{id}/secret': {
    path: { tenant: string; id: string }
    answer: Secrets
  }
  /** Rotate signing secret */
  'POST /api/tenants/{tenant}/endpoints/{id}/secret/rotate': {
    path: { tenant: string; id: string }
    body?: SecretRotation
    answer: Secrets
  }
  /** Get client certificate */
  'GET /api/tenants/{tenant}/endpoints/{id}/client-certificate': {
    path: { tenant: string; id: string }
    answer: ClientCertificate
  }
  /** Set client certificate */
  'PUT /api/tenants/{tenant}/endpoints/{id}/client-certificate': {
    path: { tenant: string; id: string }
    body: NewClientCertificate
    answer: ClientCertificate
  }
  /** Delete client certificate */
  'DELETE /api/tenants/{tenant}/endpoints/{id}/client-certificate': {
    path: { tenant: string; id: string }
    answer: undefined
  }
  /** Pause endpoint */
  'POST /api/tenants/{tenant}/endpoints/{id}/pause': {
    path: { tenant: string; id: string }
    answer: Endpoint
  }
  /** Resume endpoint */
  'POST /api/tenants/{tenant}/endpoints/{id}/resume': {
    path: { tenant: string; id: string }
    answer: Endpoint
  }
  /** Enable endpoint */
  'POST /api/tenants/{tenant}/endpoints/{id}/enable': {
    path: { tenant: string; id: string }
    body?: EnableEndpoint
    answer: EnabledEndpoint
  }
  /** Match event types and filter */
  'POST /api/tenants/{tenant}/endpoints/match': {
    path: { tenant: string }
    body: MatchQuery
    answer: Match
  }
  /** Match endpoint */
  'POST /api/tenants/{tenant}/endpoints/{id}/match': {
    path: { tenant: string; id: string }
    body: MatchQuery
    answer: Match
  }
  /** Send test event */
  'POST /api/tenants/{tenant}/endpoints/{id}/test': {
    path: { tenant: string; id: string }
    body?: TestEvent
    answer: TestAttempt | Delivery
  }
  /** Get endpoint statistics */
  'GET /api/tenants/{tenant}/endpoints/{id}/stats': {
    path: { tenant: string; id: string }
    answer: EndpointStats
  }
  /** List events */
  'GET /api/tenants/{tenant}/events': {
    path: { tenant: string }
    query?: Paging & {
      /** Only what was created since then. */
      since?: string | undefined
      /** Only what was created before. */
      until?: string | undefined
      /** A name, or a pattern such as order.* */
      type?: string | undefined
      /** Only events with a delivery to this endpoint. */
      endpointId?: string | undefined
      /** Only events with a delivery in this state. */
      state?: Delivery['state'] | undefined
      /** An id of an event or delivery, or an idempotency key, whenever it was; otherwise an ordering key, or text in the data, of the time from since to until, by default the last day, at most 31. */
      search?: string | undefined
    }
    answer: { data: Event[]; nextCursor: string | null }
  }
  /** Get event */
  'GET /api/tenants/{tenant}/events/{id}': {
    path: { tenant: string; id: string }
    query?: {
      /** Shows masked members of the data; takes a key with the scope `reveal`, and is written to the audit log. */
      reveal?: 'true' | 'false' | undefined
    }
    answer: EventWithRouting
  }
  /** List event types */
  'GET /api/event-types': {
    query?: Paging
    answer: { data: EventType[]; nextCursor: string | null }
  }
  /** Get event type */
  'GET /api/event-types/{name}': { path: { name: string }; answer: EventType }
  /** Create or update event type */
  'PUT /api/event-types/{name}': {
    path: { name: string }
    body?: EventTypeChange
    answer: EventType
  }
  /** Update event type */
  'PATCH /api/event-types/{name}': {
    path: { name: string }
    body: EventTypeChange
    answer: EventType
  }
  /** Delete event type */
  'DELETE /api/event-types/{name}': { path: { name: string }; answer: undefined }
  /** Get event type example */
  'GET /api/event-types/{name}/example': { path: { name: string }; answer: ExampleEvent }
  /** List event type versions */
  'GET /api/event-types/{name}/versions': {
    path: { name: string }
    answer: { data: EventTypeVersion[] }
  }
  /** List deliveries */
  'GET /api/tenants/{tenant}/deliveries': {
    path: { tenant: string }
    query?: Paging & {
      /** Only what was created since then. */
      since?: string | undefined
      /** Only what was created before. */
      until?: string | undefined
      state?: Delivery['state'] | undefined
      endpointId?: string | undefined
      eventId?: string | undefined
      /** Type of the event: a name, or a pattern such as order.* */
      type?: string | undefined
      /** 4: the last response was 4xx. */
      statusClass?: number | undefined
      reason?: AttemptReason | undefined
    }
    answer: { data: Delivery[]; nextCursor: string | null }
  }
  /** Get delivery */
  'GET /api/tenants/{tenant}/deliveries/{id}': {
    path: { tenant: string; id: string }
    query?: {
      /** false leaves out the responses: `responseHeaders` and `responseBody` are null. */
      answers?: 'true' | 'false' | undefined
    }
    answer: DeliveryWithAttempts
  }
  /** Retry delivery */
  'POST /api/tenants/{tenant}/deliveries/{id}/retry': {
    path: { tenant: string; id: string }
    answer: Delivery
  }
  /** Cancel delivery */
  'POST /api/tenants/{tenant}/deliveries/{id}/cancel': {
    path: { tenant: string; id: string }
    answer: Delivery
  }
  /** Create replay */
  'POST /api/tenants/{tenant}/replays': {
    path: { tenant: string }
    body: NewReplay
    answer: ReplayPreview | Replay
  }
  /** List replays */
  'GET /api/tenants/{tenant}/replays': {
    path: { tenant: string }
    query?: Paging
    answer: { data: Replay[]; nextCursor: string | null }
  }
  /** Get replay */
  'GET /api/tenants/{tenant}/replays/{id}': { path: { tenant: string; id: string }; answer: Replay }
  /** Cancel replay */
  'POST /api/tenants/{tenant}/replays/{id}/cancel': {
    path: { tenant: string; id: string }
    answer: Replay
  }
  /** Start bulk job */
  'POST /api/tenants/{tenant}/deliveries/bulk': {
    path: { tenant: string }
    body: NewBulkJob
    answer: BulkPreview | Replay
  }
  /** List all incidents */
  'GET /api/incidents': {
    query?: Paging & {
      state?: 'open' | 'closed' | undefined
      cause?: IncidentCause | undefined
      verdict?: 'ours' | 'theirs' | undefined
      endpointId?: string | undefined
    }
    answer: { data: Incident[]; nextCursor: string | null }
  }
  /** List incidents */
  'GET /api/tenants/{tenant}/incidents': {
    path: { tenant: string }
    query?: Paging & {
      state?: 'open' | 'closed' | undefined
      cause?: IncidentCause | undefined
      verdict?: 'ours' | 'theirs' | undefined
      endpointId?: string | undefined
    }
    answer: { data: Incident[]; nextCursor: string | null }
  }
  /** Get incident */
  'GET /api/tenants/{tenant}/incidents/{id}': {
    path: { tenant: string; id: string }
    answer: IncidentWithMessage
  }
  /** Acknowledge incident */
  'POST /api/tenants/{tenant}/incidents/{id}/acknowledge': {
    path: { tenant: string; id: string }
    answer: Incident
  }
  /** Add note */
  'POST /api/tenants/{tenant}/incidents/{id}/note': {
    path: { tenant: string; id: string }
    body: IncidentNote
    answer: Incident
  }
  /** Probe endpoint */
  'POST /api/tenants/{tenant}/incidents/{id}/probe': {
    path: { tenant: string; id: string }
    answer: Incident
  }
  /** Release deliveries */
  'POST /api/tenants/{tenant}/incidents/{id}/release': {
    path: { tenant: string; id: string }
    answer: Incident
  }
  /** Pause endpoint of incident */
  'POST /api/tenants/{tenant}/incidents/{id}/pause': {
    path: { tenant: string; id: string }
    answer: Incident
  }
  /** Notify customer */
  'POST /api/tenants/{tenant}/incidents/{id}/notify': {
    path: { tenant: string; id: string }
    body?: NotifyCustomer
    answer: Incident
  }
  /** Search everything */
  'GET /api/search': {
    query: {
      /** An id, or part of a tenant’s key, name or uid, of an endpoint’s URL, description or uid, or of the name of an event type; an idempotency key; or an ordering key of, or text in the data of, the latest events. Words in front that name a tenant narrow the search to it: `acme 4711`. */
      q: string
      /** Only what belongs to this tenant. */
      tenant?: string | undefined
    }
    answer: SearchResult
  }
  /** List all ordering keys */
  'GET /api/ordering-keys': {
    query?: Paging & {
      /** Only blocked keys. */
      state?: 'blocked' | undefined
      endpointId?: string | undefined
    }
    answer: { data: OrderingKey[]; nextCursor: string | null }
  }
  /** List ordering keys */
  'GET /api/tenants/{tenant}/endpoints/{id}/ordering-keys': {
    path: { tenant: string; id: string }
    query?: Paging & {
      /** Only blocked keys. */
      state?: 'blocked' | undefined
    }
    answer: { data: OrderingKey[]; nextCursor: string | null }
  }
  /** Get ordering key */
  'GET /api/tenants/{tenant}/endpoints/{id}/ordering-keys/{key}': {
    path: { tenant: string; id: string; key: string }
    answer: OrderingKey
  }
  /** Retry the event whose turn it is */
  'POST /api/tenants/{tenant}/endpoints/{id}/ordering-keys/{key}/retry': {
    path: { tenant: string; id: string; key: string }
    answer: undefined
  }
  /** Skip the event whose turn it is */
  'POST /api/tenants/{tenant}/endpoints/{id}/ordering-keys/{key}/skip': {
    path: { tenant: string; id: string; key: string }
    answer: undefined
  }
  /** Skip up to an event */
  'POST /api/tenants/{tenant}/endpoints/{id}/ordering-keys/{key}/skip-to': {
    path: { tenant: string; id: string; key: string }
    body: SkipTo
    answer: Skipped
  }
  /** Release endpoint from ordering */
  'POST /api/tenants/{tenant}/endpoints/{id}/release-ordering': {
    path: { tenant: string; id: string }
    answer: Endpoint
  }
  /** Get service state */
  'GET /api/service': { answer: ServiceState }
  /** Pause all deliveries */
  'POST /api/service/pause': { answer: ServiceState }
  /** Resume all deliveries */
  'POST /api/service/resume': { answer: ServiceState }
  /** Create portal link */
  'POST /api/tenants/{tenant}/portal-links': {
    path: {
      /** Its key. */
      tenant: string
    }
    body?: NewPortalLink
    answer: PortalLink
  }
  /** Revoke portal links */
  'DELETE /api/tenants/{tenant}/portal-links': {
    path: {
      /** Its key. */
      tenant: string
    }
    answer: undefined
  }
  /** Stream attempts */
  'GET /api/tenants/{tenant}/stream': {
    path: { tenant: string }
    query?: {
      endpointId?: string | undefined
      /** Type of the event: a name, or a pattern such as order.* */
      type?: string | undefined
      outcome?:
        | 'delivered'
        | 'rejected'
        | 'unreachable'
        | 'blocked'
        | 'abandoned'
        | 'stale'
        | 'interrupted'
        | undefined
      reason?: AttemptReason | undefined
      /** 4: the response was 4xx. */
      statusClass?: number | undefined
      /** false leaves out the responses: `responseHeaders` and `responseBody` are null. */
      answers?: 'true' | 'false' | undefined
      /** With the body of the request. */
      include?: 'request' | undefined
    }
    headers?: {
      /** `id` of the last message that was received. */
      'last-event-id'?: string | undefined
    }
    answer: never
  }
  /** Check liveness */
  'GET /live': { answer: { status: 'ok' } }
  /** Check readiness */
  'GET /ready': { answer: Readiness }
}
