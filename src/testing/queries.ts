import type { Pool, PoolClient } from 'pg'

/** A statement as it was sent. */
interface SentQuery {
  text: string
  values: unknown[]
}

export interface RecordedQueries {
  /** The pool with an ear on it; give it to `createDatabase`. */
  pool: Pool
  /** What was sent since, transaction control included; a test may empty it. */
  sent: SentQuery[]
  /** The plans of what was sent, with its values, partitions pruned at start-up left out. */
  explain(on: Pool): Promise<string[]>
}

export function recordQueries(pool: Pool): RecordedQueries {
  const sent: SentQuery[] = []
  const connect = async () => listenTo(await pool.connect(), sent)
  return {
    pool: { connect } as unknown as Pool,
    sent,
    explain: (on) =>
      Promise.all(
        sent
          .filter(({ text }) => /^\s*(?:select|with)\b/i.test(text))
          .map(({ text, values }) => explainOne(on, text, values)),
      ),
  }
}

function listenTo(client: PoolClient, sent: SentQuery[]): PoolClient {
  return new Proxy(client, {
    get(target, name) {
      const value = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'query') return value.bind(target)
      return (text: string, values: unknown[] = []) => {
        sent.push({ text, values })
        return target.query(text, values)
      }
    },
  })
}

async function explainOne(pool: Pool, text: string, values: unknown[]): Promise<string> {
  const { rows } = await pool.query<{ 'QUERY PLAN': string }>(
    `explain (analyze, costs off, timing off, summary off) ${text}`,
    values,
  )
  return rows.map((row) => row['QUERY PLAN']).join('\n')
}
