import type { Pool } from 'pg'
import { FILTER_WEIGHT_OF_TENANT_MAX } from './endpoints.ts'
import { checkFilter, FilterInvalid } from './filter.ts'

interface Row {
  id: string
  tenant: string
  filter: string
  weight: number
}

/**
 * Filters that nobody could save today: written with SQL, or before the bounds were what they are. They work, and
 * are asked after the event was published where they are too costly.
 *
 * @returns a line each, and one for each tenant whose filters are too many
 */
export async function findCostlyFilters(database: Pick<Pool, 'query'>): Promise<string[]> {
  const { rows } = await database.query<Row>(`
    select e.id, t.key as tenant, e.filter, postrider.filter_weight(e.filter) as weight
    from postrider.endpoint e join postrider.tenant t on t.id = e.tenant_id
    where e.filter is not null and e.deleted_at is null
    order by t.key, e.id`)
  return [...rows.flatMap(namedAlone), ...namedTogether(rows)]
}

function namedAlone({ id, tenant, filter }: Row): string[] {
  try {
    checkFilter(filter)
    return []
  } catch (error) {
    if (!(error instanceof FilterInvalid)) throw error
    return [`the filter of endpoint ${id} of tenant ${tenant} exceeds the bounds ${error.message}`]
  }
}

function namedTogether(rows: readonly Row[]): string[] {
  return [...Map.groupBy(rows, ({ tenant }) => tenant)].flatMap(([tenant, own]) => {
    const weights = new Map(own.map(({ filter, weight }) => [filter, weight]))
    const weight = [...weights.values()].reduce((sum, one) => sum + one, 0)
    if (weight <= FILTER_WEIGHT_OF_TENANT_MAX) return []
    return [`the filters of tenant ${tenant} have ${weight} steps and operators together`]
  })
}
