/**
 * The tables of schema `postrider` as Kysely sees them; the mirror of sql/migrations, where each column is
 * described. Times are `Date`, `json` is text (a producer's bytes are never parsed), `jsonb` is parsed.
 */
import type { ColumnType, Generated } from 'kysely'

export type DeliveryState =
  | 'pending'
  | 'delivering'
  | 'delivered'
  | 'failed'
  | 'held'
  | 'cancelled'
  | 'collapsed'
export type HeldReason = 'disabled' | 'paused' | 'suspended' | 'secret' | 'circuit' | 'order'
/** `started` and `abandoned` and `stale` are written by SQL; the others are what one HTTP try can lead to. */
export type OutcomeColumn =
  | 'started'
  | 'delivered'
  | 'rejected'
  | 'unreachable'
  | 'blocked'
  | 'abandoned'
  | 'stale'
  | 'interrupted'
/** Why an attempt did not deliver; what each means is in src/sending/reason.ts. */
export type ReasonColumn =
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
/** Why an endpoint keeps failing; what each means is said at the column `incident.cause`. */
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
export type EndpointState = 'active' | 'paused' | 'disabled'
type Trigger = 'schedule' | 'manual' | 'replay' | 'test'
export type Scope = 'publish' | 'read' | 'reveal' | 'manage' | 'admin'

/** A request with several events goes out once one of these is reached. */
export interface BatchBounds {
  maxEvents: number
  maxWaitMs: number
  maxBytes: number
}

/** Written as JSON text, read as a value. */
type Jsonb<T> = ColumnType<T, string | undefined, string>

export interface TenantTable {
  id: Generated<string>
  key: string
  name: string
  created_at: Generated<Date>
  suspended_at: Date | null
  deletion_started_at: Date | null
  /** `bigint`, which pg hands over as text. */
  deletion_rows: Generated<string>
  /** The producer's second id, as Svix SDKs know it. */
  uid: string | null
  metadata: Jsonb<Record<string, string>>
  updated_at: Generated<Date>
  /** The id that a Svix server gave it. */
  svix_id: string | null
}

export interface ApiKeyTable {
  id: Generated<string>
  tenant_id: string | null
  name: string
  hash: Buffer
  scopes: Scope[]
  expires_at: Date | null
  last_used_at: Date | null
  revoked_at: Date | null
  created_at: Generated<Date>
}

export type EndpointShape =
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

export interface EndpointTable {
  id: Generated<string>
  tenant_id: string
  url: string
  description: Generated<string>
  purpose: string | null
  event_types: Generated<string[]>
  filter: string | null
  headers: Jsonb<Record<string, string>>
  /** Name to ciphertext. */
  secret_headers: Jsonb<Record<string, string>>
  state: Generated<EndpointState>
  disabled_reason: string | null
  disabled_at: Date | null
  unreadable_since: Date | null
  unreadable_detail: string | null
  /** `numeric`, which pg hands over as text. */
  rate_per_second: ColumnType<string | null, number | null | undefined, number | null>
  /** Counts the changes of the rate. */
  rate_version: Generated<number>
  max_in_flight: number | null
  timeout_seconds: number | null
  retry_schedule: number[] | null
  client_certificate: string | null
  client_key_encrypted: string | null
  ordering: Generated<'none' | 'key'>
  /** When an event has used up its schedule, with ordering by key. */
  on_failure: Generated<'block' | 'skip'>
  /** Of the events of one ordering key that wait only the newest is sent, so long after the first of them. */
  collapse_ms: number | null
  /** Null = each event in a separate request. */
  batch_bounds: ColumnType<BatchBounds | null, string | null | undefined, string | null>
  /** What it is sent of an event. */
  shape: Generated<EndpointShape>
  /** Paths into the data, with the shape `fields`. */
  shape_fields: string[] | null
  /** Of a message, with the shapes of chats. */
  shape_template: string | null
  /** Name to template, of other schemes. */
  signature_headers: Jsonb<Record<string, string>>
  webhook_signature: Generated<'send' | 'omit'>
  metadata: Jsonb<Record<string, string>>
  /** The producer's own id, as Svix SDKs know it. */
  uid: string | null
  /** Null = events of any channels. */
  channels: string[] | null
  /** The id that a Svix server gave it. */
  svix_id: string | null
  /** What the Svix-compatible API gives back and nothing else looks at. */
  svix: ColumnType<Record<string, unknown> | null, string | null | undefined, string | null>
  created_at: Generated<Date>
  updated_at: Generated<Date>
  deleted_at: Date | null
}

interface EndpointSecretTable {
  id: Generated<string>
  tenant_id: string
  endpoint_id: string
  encrypted: string
  created_at: Generated<Date>
  expires_at: Date | null
}

export interface EventTypeTable {
  name: string
  description: Generated<string>
  /** JSON text. */
  schema: string | null
  /** Paths in the data. */
  mask: Generated<string[]>
  deprecated_at: Date | null
  archived_at: Date | null
  /** JSON text: schemas by version. */
  svix_schemas: string | null
  group_name: string | null
  created_at: Generated<Date>
  updated_at: Generated<Date>
}

interface EventTypeVersionTable {
  name: string
  version: number
  /** JSON text. */
  schema: string | null
  created_at: Generated<Date>
}

export interface EventTable {
  id: Generated<string>
  tenant_id: string
  type: string
  /** JSON text, exactly as the producer gave it; null once it was erased. */
  data: string | null
  idempotency_key: string | null
  occurred_at: Date
  deliver_at: Date | null
  /** Of a test event. */
  only_endpoint_id: string | null
  /** W3C trace context. */
  traceparent: string | null
  tracestate: string | null
  ordering_key: string | null
  /** `bigint`, as text: its place among the events of its key. */
  position: string | null
  channels: string[] | null
  /** Published through the Svix-compatible API. */
  as_svix: boolean | null
  /** What that API gives back and nothing else looks at. */
  svix: ColumnType<Record<string, unknown> | null, string | null | undefined, string | null>
  created_at: Generated<Date>
}

export interface DeliveryTable {
  id: Generated<string>
  tenant_id: string
  event_id: string
  endpoint_id: string
  state: Generated<DeliveryState>
  /** Set while the state is `held`. */
  held_reason: HeldReason | null
  trigger: Generated<Trigger>
  attempt_count: Generated<number>
  due_attempt: Generated<number>
  schedule_step: Generated<number>
  abandoned_count: Generated<number>
  claim: string | null
  next_attempt_at: Date | null
  /** By a limit of the endpoint. */
  put_off_until: Date | null
  /** Where its endpoint orders by key or collapses. */
  ordering_key: string | null
  position: string | null
  /** The newer event that was sent instead, where it is collapsed. */
  collapsed_by: string | null
  /** That it is sent with, or waits in. */
  batch_id: string | null
  created_at: Generated<Date>
  finished_at: Date | null
}

export interface AttemptTable {
  id: Generated<string>
  tenant_id: string
  delivery_id: string
  endpoint_id: string
  number: number
  trigger: Trigger
  outcome: Generated<OutcomeColumn>
  status_code: number | null
  reason: ReasonColumn | null
  error: string | null
  error_detail: string | null
  duration_ms: number | null
  dns_ms: number | null
  connect_ms: number | null
  tls_ms: number | null
  first_byte_ms: number | null
  /** JSON text. */
  request_headers: string | null
  /** JSON text. */
  response_headers: string | null
  response_body: string | null
  /** The webhook-id of the request, where that had several events. */
  batch_id: string | null
  /** Where it was sent. */
  url: string | null
  runner: string
  started_at: Generated<Date>
  finished_at: Date | null
}

interface IdempotencyTable {
  tenant_id: string
  key: string
  event_id: string
  request_hash: Buffer
  expires_at: Date
}

/** Answers of the Svix-compatible API that are given again. */
interface SvixAnswerTable {
  hash: Buffer
  status: number | null
  body: string | null
  expires_at: Date
}

interface RunnerTable {
  id: string
  session_pid: number | null
  session_role: number | null
  host: string
  pid: number
  started_at: Generated<Date>
  seen_at: Generated<Date>
  stopped_at: Date | null
  reaped_at: Date | null
  drain_requested_at: Date | null
}

export interface ReplayTable {
  id: Generated<string>
  tenant_id: string
  mode: 'redeliver' | 'missed' | 'retry' | 'cancel' | 'release'
  endpoint_id: string | null
  event_types: string[]
  states: string[]
  status_class: number | null
  since: Date
  until: Date
  /** `numeric`, which pg hands over as text. */
  rate_per_second: string
  state: 'running' | 'done' | 'cancelled'
  total: number
  done: number
  position: string
  recheck_from: string
  waits_for_xid: string
  rechecking: boolean
  requested_by: string
  created_at: Date
  finished_at: Date | null
  is_bulk: Generated<boolean>
  delivery_ids: string[] | null
  event_id: string | null
  reason: ReasonColumn | null
  skipped: Generated<number>
  /** What had ended is tried once and has no schedule again; null = no. */
  one_attempt: boolean | null
}

export interface SessionTable {
  id: Generated<string>
  area: 'console' | 'portal'
  token_hash: Buffer
  key_hash: Buffer
  created_at: Generated<Date>
  expires_at: Date
}

export interface PortalLinkTable {
  id: Generated<string>
  tenant_id: string
  token_hash: Buffer
  access: 'read' | 'manage'
  api_key_id: string | null
  created_at: Generated<Date>
  expires_at: Date
  name: string | null
  accent: string | null
  theme: 'light' | 'dark' | null
  locale: 'en' | 'de' | null
  back_url: string | null
  logo: Buffer | null
  logo_url: string | null
}

/** Named without their schema: `createDatabase` adds it, so that no query depends on `search_path`. */
export interface Database {
  tenant: TenantTable
  api_key: ApiKeyTable
  endpoint: EndpointTable
  endpoint_secret: EndpointSecretTable
  event_type: EventTypeTable
  event_type_version: EventTypeVersionTable
  event: EventTable
  delivery: DeliveryTable
  attempt: AttemptTable
  idempotency: IdempotencyTable
  svix_answer: SvixAnswerTable
  runner: RunnerTable
  replay: ReplayTable
  session: SessionTable
  portal_link: PortalLinkTable
}
