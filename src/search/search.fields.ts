import { z } from '@hono/zod-openapi'
import { type Fields, inputsOf, outputsOf, type Shown, shownOf, shownTime } from '../fields.ts'
import { storableText } from '../http/validation.ts'
import { HIT_KINDS, type Hit, MATCHES } from './hit.ts'

/** Longer than any id, name or key; a URL is found by a part of it. */
export const SEARCH_LENGTH_MAX = 500

/** What a search is asked with. */
export const searchFilters = {
  q: {
    input: storableText(SEARCH_LENGTH_MAX)
      .trim()
      .min(1)
      .openapi({
        description:
          'An id, or part of a tenant’s key, name or uid, of an endpoint’s URL, description or uid, or of the name of an event type; ' +
          'an idempotency key; or an ordering key of, or text in the data of, the latest events. Words in front that name a tenant narrow the ' +
          'search to it: `acme 4711`.',
        example: 'acme 4711',
      }),
  },
  tenant: {
    input: z.string().optional().openapi({ description: 'Only what belongs to this tenant.' }),
    option: { value: '<key>', about: 'only what belongs to this tenant' },
  },
} as const satisfies Fields

const hitFields = {
  kind: { column: 'kind', output: z.enum(HIT_KINDS) },
  id: {
    column: 'id',
    output: z.string().openapi({ description: 'The name where it is an event type.' }),
  },
  tenant: { column: 'tenantKey', output: z.string().nullable() },
  title: {
    column: 'title',
    output: z.string().openapi({ description: 'Its name.' }),
  },
  matched: {
    column: 'matched',
    output: z.enum(MATCHES).openapi({ description: 'What the text was found in.' }),
  },
  state: { column: 'state', output: z.string().nullable() },
  createdAt: { column: 'at', output: shownTime.nullable() },
  answer: {
    column: 'answer',
    output: z.string().nullable().openapi({
      description:
        'What became of an event or a delivery, as a sentence; of the first 5. Null for anything else.',
      example:
        'Delivered to CRM (HTTP 200 in 72 ms, attempt 2); on hold for ERP (the endpoint is paused).',
    }),
  },
} as const satisfies Fields<Hit>

/** What a list of hits has in columns. */
export const HIT_COLUMNS: (keyof Shown<typeof hitFields>)[] = [
  ...(['kind', 'id', 'tenant', 'title', 'matched', 'answer'] as const),
]

export const searchQuery = z.strictObject(inputsOf(searchFilters))
export const foundSchema = z
  .object({
    data: z.array(z.object(outputsOf(hitFields)).openapi('SearchHit')),
    searchedBackTo: shownTime.nullable().openapi({
      description: 'The data of older events was not looked through; null = all was.',
    }),
  })
  .openapi('SearchResult')

export const presentHit = (hit: Hit) => shownOf(hitFields, hit)
