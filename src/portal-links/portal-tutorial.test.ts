/** The app of the tutorial shows the portal of a service that allows it to. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { startServiceWithPages } from '../testing/wiring/service-with-pages.ts'

const TUTORIAL = join(import.meta.dirname, '../../docs/tutorials/portal-in-your-app.md')
const ORIGIN = 'http://127.0.0.1:3001'

/** @returns the address of the app, on a free port */
async function startApp(t: Test, env: Record<string, string>): Promise<string> {
  const [, code = ''] = /^```js\n(.*?)^```$/ms.exec(readFileSync(TUTORIAL, 'utf8')) ?? []
  const file = join(t.testdir(), 'app.mjs')
  writeFileSync(file, `${code.replace('listen(3001', 'listen(0')}export { server }\n`)
  Object.assign(process.env, env)
  const { server } = (await import(pathToFileURL(file).href)) as { server: Server }
  t.teardown(() => server.close())
  if (!server.listening) await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

t.test('the app of the tutorial shows the portal of its customer in a frame', async (t) => {
  const service = await startServiceWithPages(t, { PORTAL_FRAME_ORIGINS: ORIGIN })
  await service.call('PUT', '/api/tenants/acme', { name: 'Acme Corporation' })
  const { key } = await service.call('POST', '/api/keys', {
    name: 'my app',
    scopes: ['read', 'manage'],
  })
  const app = await startApp(t, { POSTRIDER_URL: service.url, POSTRIDER_API_KEY: key })
  t.equal((await fetch(`${app}favicon.ico`)).status, 404)
  const page = await (await fetch(app)).text()
  const [, link = ''] = /<iframe [^>]*src="([^"]+)"/.exec(page) ?? []
  const opened = await fetch(link, { redirect: 'manual' })
  t.equal(opened.status, 303)
  const cookie = opened.headers.get('set-cookie')?.split(';')[0] ?? ''
  const portal = await fetch(new URL('/portal', link), { headers: { cookie } })
  t.equal(portal.status, 200)
  t.match(portal.headers.get('content-security-policy'), `frame-ancestors ${ORIGIN}`)
  const text = await portal.text()
  t.match(text, 'Acme webhooks')
  t.match(text, `href="${ORIGIN}/"`)
  t.match(text, 'No endpoints yet')
})
