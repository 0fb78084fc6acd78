import t, { type Test } from 'tap'
import { createWork } from '../testing/data/work.ts'
import { onBothPostgres, type TestDatabase } from '../testing/wiring/database.ts'
import { startPartitionKeeper } from './partitions.ts'

onBothPostgres(t, conformance)

const PARENTS = ['attempt', 'delivery', 'event']
const DAYS_AHEAD = 40

function conformance(t: Test, { pool }: TestDatabase) {
  const daysOf = async (parent: string) => {
    const { rows } = await pool.query<{ ahead: number; state: string }>(
      `select day - (clock_timestamp() at time zone 'UTC')::date as ahead, state
       from postrider.partition where parent = $1 order by day`,
      [parent],
    )
    return rows
  }
  const fromYesterday = Array.from({ length: DAYS_AHEAD + 2 }, (_, day) => ({
    ahead: day - 1,
    state: 'attached',
  }))

  /** Removes the partitions of a day, as if nobody had made them. */
  async function lose(ahead: number) {
    for (const parent of PARENTS) {
      await pool.query(
        `do $$ begin execute 'drop table postrider.${parent}_'
           || to_char((clock_timestamp() at time zone 'UTC')::date + ${ahead}, 'YYYYMMDD'); end $$`,
      )
    }
  }

  t.test(
    'every day from yesterday to 40 days ahead is made, or to what the database says',
    async (t) => {
      const client = await pool.connect()
      try {
        await client.query(`set postrider.partition_days_ahead = ''`)
        await client.query('select postrider.create_partitions()')
        for (const parent of PARENTS) t.strictSame(await daysOf(parent), fromYesterday)
        await client.query(`set postrider.partition_days_ahead = 41`)
        t.match((await client.query('select postrider.create_partitions() as made')).rows, [
          { made: PARENTS.length },
        ])
        await lose(DAYS_AHEAD + 1)
      } finally {
        client.release(true)
      }
    },
  )

  t.test('making them again makes nothing', async (t) => {
    const { rows } = await pool.query('select postrider.create_partitions(40) as made')
    t.strictSame(rows, [{ made: 0 }])
  })

  t.test('what is missing is made, and nothing else', async (t) => {
    await lose(3)
    await lose(40)
    const { rows } = await pool.query('select postrider.create_partitions(40) as made')
    t.strictSame(rows, [{ made: 6 }])
    for (const parent of PARENTS) t.strictSame(await daysOf(parent), fromYesterday)
  })

  t.test('two that make them at once do not disturb each other', async (t) => {
    await lose(39)
    const made = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const { rows } = await pool.query('select postrider.create_partitions(40) as made')
        return rows[0].made as number
      }),
    )
    t.equal(
      made.reduce((sum, one) => sum + one, 0),
      3,
    )
  })

  t.test('making one does not wait for an open publish, nor a publish for it', async (t) => {
    await lose(40)
    const work = await createWork(pool)
    const [producer, maker] = [await pool.connect(), await pool.connect()]
    try {
      await producer.query('begin')
      await producer.query(`select postrider.publish($1, 'a.b', '1')`, [work.tenant.key])
      await maker.query(`set lock_timeout = '500ms'`)
      await maker.query('begin')
      t.match((await maker.query('select postrider.create_partitions(40) as made')).rows, [
        { made: 3 },
      ])
      await producer.query(`set lock_timeout = '500ms'`)
      await producer.query(`select postrider.publish($1, 'a.b', '2')`, [work.tenant.key])
      await producer.query('commit')
      await maker.query('commit')
    } finally {
      producer.release(true)
      maker.release(true)
    }
  })

  t.test('the last day that is made takes events, deliveries and attempts', async (t) => {
    const work = await createWork(pool)
    const due = await work.publish()
    await work.finish(await work.claim(due), 200)
    // The rows as they would be had the clock been there: ids of that day.
    const moved = `(left(postrider.id_at((clock_timestamp() at time zone 'UTC')::date
      + interval '${DAYS_AHEAD} days 23:59:59.999')::text, 14) || '7' || right(id::text, 21))::uuid`
    for (const parent of PARENTS) {
      const { rows } = await pool.query(
        `update postrider.${parent} set id = ${moved} where tenant_id = $1 returning tableoid::regclass::text as partition`,
        [work.tenant.id],
      )
      t.match(rows, [{ partition: new RegExp(`^postrider.${parent}_\\d{8}$`) }])
      const { rows: last } = await pool.query(
        `select 'postrider.' || name as partition from postrider.partition where parent = $1 order by day desc limit 1`,
        [parent],
      )
      t.strictSame(rows, last, `${parent} is in the last partition`)
    }
    await t.rejects(
      pool.query(
        `update postrider.event set id = postrider.id_at(postrider.id_time(id) + interval '1 second') where tenant_id = $1`,
        [work.tenant.id],
      ),
      { code: '23514' },
      'the day after has none, and says so instead of losing anything',
    )
  })

  t.test('an id belongs to the day that its clock says, on both sides of midnight', async (t) => {
    const { rows } = await pool.query(
      `select p.name, postrider.id_at(p.day::timestamp at time zone 'UTC') as first,
         postrider.id_at((p.day + 1)::timestamp at time zone 'UTC') as next
       from postrider.partition p where p.parent = 'event' and p.day = (clock_timestamp() at time zone 'UTC')::date`,
    )
    const { name, first, next } = rows[0]
    const work = await createWork(pool)
    const insert = async (id: string) => {
      const inserted = await pool.query(
        `insert into postrider.event (id, tenant_id, type, data, occurred_at) values ($1, $2, 'a', '1', now())
         returning tableoid::regclass::text as partition`,
        [id, work.tenant.id],
      )
      return inserted.rows[0].partition
    }
    t.equal(await insert(first), `postrider.${name}`)
    t.not(await insert(next), `postrider.${name}`)
  })

  t.test('the keeper makes them when it starts, and stops when asked', async (t) => {
    await lose(2)
    const keeper = startPartitionKeeper({ pool, onError: (error) => t.fail(String(error)) })
    await keeper.stop()
    await keeper.stop()
    for (const parent of PARENTS) {
      const made = (await daysOf(parent)).some(
        ({ ahead, state }) => ahead === 2 && state === 'attached',
      )
      t.ok(made, parent)
    }
  })

  t.end()
}
