import t from 'tap'
import { secretBox } from '../../testing/data/encryption.ts'
import { createTenant } from '../../testing/data/tenant.ts'
import { startReceiver } from '../../testing/servers/receiver.ts'
import { untilHolds } from '../../testing/until.ts'
import { createTestDatabase } from '../../testing/wiring/database.ts'
import { type Service, startService } from '../../testing/wiring/service.ts'

/** Each killed runner is found dead after 5 s of silence. */
t.setTimeout(600_000)
const TAKEN_OVER_MS_MAX = 60_000
const KILLS = 3
const EVENTS_EACH = 10

const { pool, url } = await createTestDatabase(t)

async function bundle(t: Parameters<typeof startService>[0]) {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: receiver.url }, secretBox.encrypt)
  return { receiver, tenant }
}

/** Two runners, as a supervisor keeps them: another is started for each that is gone. */
async function startRunners(t: Parameters<typeof startService>[0]) {
  const runners = new Map<string, Service>()
  const start = async () => {
    const runner = await startService(t, 'runner', { DATABASE_URL: url })
    runners.set(String((await runner.line('runner.started'))['runnerId']), runner)
  }
  await Promise.all([start(), start()])
  return {
    /** Ends the process that is sending this event, as a payload does that breaks it. */
    async killSenderOf(eventId: string) {
      const { rows } = await pool.query<{ runner: string }>(
        `select a.runner from postrider.attempt a join postrider.delivery d on d.claim = a.id
         where d.event_id = $1`,
        [eventId],
      )
      const id = rows[0]?.runner ?? ''
      const killed = await runners.get(id)?.stop('SIGKILL')
      runners.delete(id)
      await start()
      return killed
    },
    stop: () => Promise.all([...runners.values()].map((runner) => runner.stop())),
  }
}

const poisonOf = async (eventId: string) =>
  (
    await pool.query(
      `select d.*, extract(epoch from d.next_attempt_at - now())::float8 as due_in,
         array(select a.outcome from postrider.attempt a where a.delivery_id = d.id order by a.number) as outcomes
       from postrider.delivery d where d.event_id = $1`,
      [eventId],
    )
  ).rows[0]

t.test(
  'a delivery that kills runner after runner is set aside, and all others go on',
  async (t) => {
    const [poison, neighbour] = [await bundle(t), await bundle(t)]
    const runners = await startRunners(t)
    const hold = Promise.withResolvers<number>()
    poison.receiver.answerWith(() => hold.promise)

    const eventId = await poison.tenant.publish()
    for (let kill = 1; kill <= KILLS; kill++) {
      await poison.receiver.received(kill, TAKEN_OVER_MS_MAX)
      for (let n = 0; n < EVENTS_EACH; n++) await neighbour.tenant.publish()
      t.equal(await runners.killSenderOf(eventId), 'SIGKILL')
      await neighbour.receiver.received(kill * EVENTS_EACH, TAKEN_OVER_MS_MAX)
    }
    await untilHolds(
      pool,
      `select abandoned_count = ${KILLS} as holds from postrider.delivery where event_id = $1`,
      [eventId],
    )
    const postponed = await poisonOf(eventId)
    t.match(postponed, { state: 'pending', claim: null, attempt_count: KILLS })
    t.same(postponed.outcomes, Array(KILLS).fill('abandoned'))
    t.ok(postponed.due_in > 9 * 60, `it is put off by ${postponed.due_in} s`)

    await neighbour.tenant.publish()
    await neighbour.receiver.received(KILLS * EVENTS_EACH + 1)
    t.equal(poison.receiver.requests.length, KILLS, 'it is not sent meanwhile')

    // Anyone who has found out why and mended it has it sent at once.
    hold.resolve(200)
    await pool.query('select postrider.retry_now($1)', [postponed.id])
    await untilHolds(
      pool,
      `select not exists (select from postrider.delivery where finished_at is null) as holds`,
    )
    t.match(await poisonOf(eventId), { state: 'delivered', abandoned_count: 0 })
    const ids = neighbour.receiver.requests.map(({ headers }) => headers['webhook-id'])
    t.equal(new Set(ids).size, KILLS * EVENTS_EACH + 1)
    t.same(await runners.stop(), [0, 0])
  },
)
