import type { TraceContext } from '../tracing/tracing.ts'

export interface PublishItem {
  /**
   * JSON text of an object with `type` and `data`, perhaps `deliverAt`, `occurredAt`, `orderingKey`, `channels`
   * and `tenant`; of the Svix-compatible API also `asSvix`, `svix` and `eraseAt`, see publish_many().
   * Valid JSON, well-formed, and not nested deeper than Postgres can parse: a mistake here would
   * cost the whole batch a second try.
   */
  body: string
  /** Key of the tenant; overrides what the body says. */
  tenant: string
  idempotencyKey: string | null
  /** Whether its body has an ordering key, for which it may have to wait. */
  isOrdered?: boolean
  /** Kept with the event, so that its deliveries go on with the trace. */
  trace?: TraceContext | null
}

export interface Published {
  id: string
  deliveries: number
  /** The event was stored by an earlier request with the same idempotency key. */
  duplicate: boolean
}

export interface Publisher {
  /**
   * Stores an event, its deliveries and their jobs; durable once it resolves.
   *
   * @throws PublishRefused
   * @throws DatabaseUnavailable
   */
  publish(item: PublishItem): Promise<Published>
  /** Resolves once nothing is waiting or in flight. */
  idle(): Promise<void>
}
