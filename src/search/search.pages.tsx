import type { Context, Hono } from 'hono'
import type { RenderPage } from '../console/layout.tsx'
import { Badge, CopyButton, Empty, Time } from '../console/parts.tsx'
import type { PageEnv } from '../console/viewer.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import { listedBy } from '../tenants/tenant-access.ts'
import type { Tenants } from '../tenants/tenants.ts'
import { type Hit, type HitKind, isExact } from './hit.ts'
import { SEARCH_LENGTH_MAX } from './search.fields.ts'
import type { Found, Search } from './search.ts'

export interface SearchPages {
  render: RenderPage
  tenants: Pick<Tenants, 'get' | 'reservedIds'>
  search: Search
}

const PATH = '/console/search'

export function addSearchPage(app: Hono<PageEnv>, pages: SearchPages): void {
  app.get('/search', (c) => showFound(c, pages))
}

/** One thing that was named is shown at once, unless somebody is still typing. */
async function showFound(c: Context<PageEnv>, { render, tenants, search }: SearchPages) {
  // Cut in the middle of a character, half of it would stay, which Postgres takes for no text.
  const text = (c.req.query('q') ?? '').trim().slice(0, SEARCH_LENGTH_MAX).toWellFormed()
  const isQuick = c.req.query('quick') !== undefined
  const listed = await listedBy(c.get('viewer').caller, tenants, undefined)
  const found = text === '' ? null : await search.find(listed, text, { isQuick })
  const [only, ...others] = found?.hits ?? []
  if (only && others.length === 0 && isExact(only.matched) && !isQuick) {
    return c.redirect(pageOfHit(only), 303)
  }
  return render(
    c,
    { title: text === '' ? 'Search' : `Search: ${text}`, at: PATH },
    <>
      <h1>Search</h1>
      <search>
        <form method="get" action={PATH} class="filters">
          <div class="field">
            <label for="again">ID, tenant, URL, key, or text in the data</label>
            <input id="again" type="search" name="q" value={text} maxlength={SEARCH_LENGTH_MAX} />
          </div>
          <button type="submit">Search</button>
        </form>
      </search>
      <div id="found">{found && <Hits {...found} text={text} isQuick={isQuick} />}</div>
    </>,
  )
}

const LABELS: Record<HitKind, string> = {
  tenant: 'Tenants',
  endpoint: 'Endpoints',
  event: 'Events',
  delivery: 'Deliveries',
  incident: 'Incidents',
  replay: 'Replays',
  event_type: 'Event types',
}
const MATCHED: Record<Hit['matched'], string> = {
  id: 'ID',
  key: 'key',
  name: 'name',
  url: 'URL',
  description: 'description',
  uid: 'UID',
  idempotency_key: 'idempotency key',
  ordering_key: 'ordering key',
  data: 'data',
}

/** Tenants are found by their key. */
function pageOfHit({ kind, id, tenantKey }: Hit): string {
  const list = LABELS[kind].toLowerCase().replace(' ', '-')
  return `/console/${list}/${encodeURIComponent(kind === 'tenant' ? (tenantKey ?? id) : id)}`
}

function Hits({ hits, searchedBackTo, text, isQuick }: Found & { text: string; isQuick: boolean }) {
  if (hits.length === 0) return isQuick ? <Quick /> : <Nothing text={text} back={searchedBackTo} />
  return (
    <>
      {[...Map.groupBy(hits, ({ kind }) => kind)].map(([kind, group]) => (
        <section class="hits">
          <h2>{LABELS[kind]}</h2>
          <ul>
            {group.map((hit) => (
              <HitItem hit={hit} />
            ))}
          </ul>
        </section>
      ))}
      {isQuick ? <Quick /> : <Searched back={searchedBackTo} text={text} />}
    </>
  )
}

function HitItem({ hit }: { hit: Hit }) {
  const { kind, id, title, tenantKey, tenantName, matched, state, at, answer } = hit
  return (
    <li>
      <a class="lead" href={pageOfHit(hit)}>
        {title}
      </a>{' '}
      {state && <Badge of={state} />} {kind === 'tenant' && <code>{tenantKey}</code>}
      {kind !== 'tenant' && tenantKey !== null && (
        <TenantLink of={tenantKey} name={tenantName ?? tenantKey} />
      )}{' '}
      <span class="muted">found by {MATCHED[matched]}</span> {at && <Time at={at} />}
      {kind !== 'tenant' && kind !== 'event_type' && <CopyButton text={id} what="ID" />}
      {answer !== null && <p class="answer">{answer}</p>}
    </li>
  )
}

const Quick = () => <p class="muted">Press Enter to search the data of events too.</p>

/** The list of events goes on where the search has stopped. */
function Searched({ back, text }: { back: Date | null; text: string }) {
  if (back === null) return null
  const until = back.toISOString().slice(0, 19)
  return (
    <p>
      Searched the data of events since <Time at={back} />.{' '}
      <a href={`/console/events?${new URLSearchParams({ search: text, until })}`}>Search older</a>
    </p>
  )
}

function Nothing({ text, back }: { text: string; back: Date | null }) {
  return (
    <Empty title={`Nothing found for “${text}”`}>
      <p>
        Search by ID, by part of a name, key, UID, URL or description, or by text in the data of
        events. To search one customer’s events, put the customer first: <code>acme {text}</code>.
      </p>
      <Searched back={back} text={text} />
    </Empty>
  )
}
