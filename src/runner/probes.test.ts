import t from 'tap'
import { createMetrics } from '../metrics.ts'
import { startProbes } from './probes.ts'

const metrics = createMetrics({ version: '1.2.3' })

t.test('answers /live, /ready in both states, /metrics, and nothing else', async (t) => {
  let ready = true
  const probes = await startProbes({
    host: '127.0.0.1',
    port: 0,
    ready: async () => ({ ready, checks: { database: ready ? 'reachable' : 'unreachable' } }),
    metrics,
  })
  t.teardown(() => probes.stop())
  const get = async (path: string) => {
    const response = await fetch(`${probes.url}${path}`)
    return { status: response.status, text: await response.text() }
  }
  t.match(await get('/live'), { status: 200 })
  t.match(await get('/ready'), { status: 200, text: /"database":"reachable"/ })
  ready = false
  t.match(await get('/ready'), { status: 503, text: /"ready":false/ })
  t.match(await get('/metrics'), { status: 200, text: /postrider_build_info\{version="1\.2\.3"/ })
  t.match(await get('/api/events'), { status: 404 })
})

t.test('a check that fails is answered, and stopping twice is harmless', async (t) => {
  const probes = await startProbes({
    host: '127.0.0.1',
    port: 0,
    ready: () => Promise.reject(new Error('no')),
    metrics,
  })
  t.equal((await fetch(`${probes.url}/ready`)).status, 500)
  await probes.stop()
  await probes.stop()
  await t.rejects(fetch(`${probes.url}/live`))
})
