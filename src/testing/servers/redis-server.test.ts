import t from 'tap'
import { startRedis } from './redis-server.ts'

t.test('two starts at the same time make one server', async (t) => {
  const redis = await startRedis(t)
  if (!redis) return
  await redis.stop()
  await Promise.all([redis.start(), redis.start()])
  t.equal(await redis.send('PING'), 'PONG')
  await redis.start()
  t.equal(await redis.send('PING'), 'PONG', 'and again while it runs')
  await redis.stop()
  await redis.start()
  t.equal(await redis.send('PING'), 'PONG', 'and once it was stopped again')
})
