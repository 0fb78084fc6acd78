import type { TenantId } from '../ids.ts'

export const HIT_KINDS = [
  'tenant',
  'endpoint',
  'event',
  'delivery',
  'incident',
  'replay',
  'event_type',
] as const
export type HitKind = (typeof HIT_KINDS)[number]

export const MATCHES = [
  'id',
  'key',
  'name',
  'url',
  'description',
  'uid',
  'idempotency_key',
  'ordering_key',
  'data',
] as const

/** Something that was found. */
export interface Hit {
  kind: HitKind
  /** A name where it is an event type. */
  id: string
  /** Null where it belongs to none. */
  tenantId: TenantId | null
  tenantKey: string | null
  tenantName: string | null
  /** What people know it by. */
  title: string
  matched: (typeof MATCHES)[number]
  state: string | null
  at: Date | null
  /** What became of an event or a delivery, as a sentence. */
  answer: string | null
}

/** Of each kind: more is what the lists are for. */
export const OF_A_KIND_MAX = 6

/** Whether it names one thing, so that nobody wants to know where else it stands. */
export const isExact = (matched: Hit['matched']): boolean =>
  matched === 'id' || matched === 'idempotency_key'
