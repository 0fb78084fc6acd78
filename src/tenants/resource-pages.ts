import type { Context } from 'hono'
import { type Kysely, sql } from 'kysely'
import type { z } from 'zod'
import { type PageEnv, viewerWith } from '../console/viewer.ts'
import { deliveryId, endpointId, eventId, incidentId, replayId, type TenantId } from '../ids.ts'
import { NothingFound } from '../not-found.ts'
import type { Database, Scope } from '../postgres/schema.ts'
import type { TenantAccess } from './tenant-access.ts'

/** Something that a page is about, and the tenant that it belongs to. */
export interface Resource<Id extends string> {
  id: Id
  tenant: { id: TenantId; key: string; name: string }
}

export type HandlerOf<Id extends string, Pages> = (
  c: Context<PageEnv>,
  resource: Resource<Id>,
  pages: Pages,
) => Response | Promise<Response>
type Answer = (c: Context<PageEnv>) => Promise<Response>

/** Pages about the one resource whose id is `:id` in their path. Each runs in the scope of its tenant. */
export interface PagesOf<Id extends string> {
  /** Of what is shown: held to what the API holds a caller with the scope `read` to. */
  reading<Pages>(pages: Pages, handler: HandlerOf<Id, Pages>): Answer
  /** Of what acts, and of forms that lead there: held to what the API holds a caller with the scope `manage` to. */
  managing<Pages>(pages: Pages, handler: HandlerOf<Id, Pages>): Answer
}

interface ResourcePagesOptions {
  /** Of every tenant where the viewer sees every tenant. */
  database: Kysely<Database>
  access: TenantAccess
}

/**
 * Finds whose something is, by its bare id: an address of a page names no tenant, so that an id from a log or a
 * support case is enough. Each page answers 404 where there is no such resource, or the viewer does not see it.
 */
export function createResourcePages(options: ResourcePagesOptions) {
  const { database, access } = options
  const answering =
    <Id extends string>(table: ResourceTable, id: z.ZodType<Id>, scope: Scope) =>
    <Pages>(pages: Pages, handler: HandlerOf<Id, Pages>): Answer =>
    async (c) => {
      const { caller } = viewerWith(c, scope)
      const resource = await find(database, table, id.safeParse(c.req.param('id')).data)
      return await access(caller, scope, resource.tenant.key, async () =>
        handler(c, resource, pages),
      )
    }
  const pagesOf = <Id extends string>(table: ResourceTable, id: z.ZodType<Id>): PagesOf<Id> => ({
    reading: answering(table, id, 'read'),
    managing: answering(table, id, 'manage'),
  })
  return {
    deliveries: pagesOf('delivery', deliveryId),
    events: pagesOf('event', eventId),
    endpoints: pagesOf('endpoint', endpointId),
    replays: pagesOf('replay', replayId),
    incidents: pagesOf('incident', incidentId),
  }
}

export type ResourcePages = ReturnType<typeof createResourcePages>

type ResourceTable = 'delivery' | 'event' | 'endpoint' | 'replay' | 'incident'

async function find<Id extends string>(
  database: Kysely<Database>,
  table: ResourceTable,
  id: Id | undefined,
): Promise<Resource<Id>> {
  if (id === undefined) throw new NothingFound()
  const { rows } = await sql<Resource<Id>['tenant']>`
    select t.id, t.key, t.name
    from ${sql.table(`postrider.${table}`)} as resource
    join postrider.tenant t on t.id = resource.tenant_id
    where resource.id = ${id}`.execute(database)
  const [tenant] = rows
  if (!tenant) throw new NothingFound()
  return { id, tenant }
}
