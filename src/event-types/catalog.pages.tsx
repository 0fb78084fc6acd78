import type { Context, Hono } from 'hono'
import { LRUCache } from 'lru-cache'
import { cached } from '../console/cached.ts'
import { DataTable } from '../console/data-table.tsx'
import { say } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Empty } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import { type DescribedType, type DescribeOptions, describeType } from './describe-type.ts'
import { Described, TypeState } from './described.tsx'
import { EventTypeNotFound, type EventTypeOutline, type EventTypes } from './event-types.ts'

export const CATALOG_PATH = '/catalog'

/** As many as there can be. */
const LISTED_MAX = 1_000
/** Strangers cost no more than one read in this time, which is how long a change takes to be seen. */
const FRESH_MS = 15_000
/** An example takes up to half a second to make, and a schema has up to 64 KiB. */
const KEPT_MAX = 200

export interface CatalogPages extends DescribeOptions {
  render: RenderPage
  eventTypes: Pick<EventTypes, 'outline' | 'get' | 'versions'>
}

/** What can be subscribed to, for everybody: without a key, and without anything that is a tenant's. */
export function addCatalogPages(app: Hono<PageEnv>, pages: CatalogPages): void {
  const outline = cached(FRESH_MS, () => pages.eventTypes.outline({ limit: LISTED_MAX }))
  const described = new LRUCache<string, DescribedType>({
    max: KEPT_MAX,
    ttl: FRESH_MS,
    fetchMethod: (name) => describeType(pages, name),
  })
  app.get('/', async (c) => showList(c, pages, await outline()))
  app.get('/:name', async (c) => {
    const name = c.req.param('name')
    // A name that is none of them is not looked up.
    const isThere = (await outline()).some((type) => type.name === name)
    const found = isThere ? await described.fetch(name) : undefined
    if (!found) throw new EventTypeNotFound()
    return await showType(c, pages, found)
  })
}

const pathOf = ({ name }: EventTypeOutline): string => `${CATALOG_PATH}/${encodeURIComponent(name)}`

function showList(c: Context<PageEnv>, { render }: CatalogPages, types: EventTypeOutline[]) {
  return render(
    c,
    { title: say('Event types') },
    <>
      <h1>{say('Event types')}</h1>
      {types.length === 0 ? (
        <Empty title="No event types yet" />
      ) : (
        <DataTable
          name="catalog"
          label="Event types"
          columns={[
            { name: 'name', label: 'Name', kind: 'main', cell: ({ name }) => name },
            {
              name: 'description',
              label: 'Description',
              kind: 'name',
              cell: ({ description }) => description,
            },
            { name: 'state', label: 'State', cell: (type) => <TypeState of={type} /> },
          ]}
          rows={types}
          hrefOf={pathOf}
        />
      )}
    </>,
  )
}

function showType(c: Context<PageEnv>, { render }: CatalogPages, described: DescribedType) {
  const { name } = described.type
  return render(
    c,
    { title: name },
    <>
      <h1>{name}</h1>
      <Described {...described} />
      <p>
        <a href={CATALOG_PATH}>{say('All event types')}</a>
      </p>
    </>,
  )
}
