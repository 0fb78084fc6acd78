import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { html } from 'hono/html'
import { once } from '../clock.ts'
import type { ApiEnv } from './authenticate.ts'
import { DOCUMENT_PATH, operationsOf } from './document.ts'
import type { Document } from './examples.ts'

const REFERENCE_PATH = '/docs'

/**
 * Nothing from another host, and no inline script or style. The viewer still tries to add style elements:
 * they are blocked, and its own style sheet, which is linked here, has what it shows.
 */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/**
 * "Test request" is off, as the page has the origin of the console: a request from here could take a session with it.
 * So is everything that asks other hosts.
 */
const START = `Scalar.createApiReference('#reference', {
  url: '${DOCUMENT_PATH}',
  hideTestRequestButton: true,
  hideClientButton: true,
  withDefaultFonts: false,
  telemetry: false,
  showDeveloperTools: 'never',
  agent: { disabled: true },
  mcp: { disabled: true },
  hiddenClients: true,
  defaultOpenAllTags: false,
  metaData: { title: 'Postrider API' },
})
`

/** Where scripts/build.sh puts the viewer's files; from source they come from its package. */
const BUILT = join(import.meta.dirname, 'viewer')

function viewerFile(name: 'viewer.js' | 'viewer.css'): string {
  if (existsSync(BUILT)) return join(BUILT, name)
  const style = createRequire(import.meta.url).resolve('@scalar/api-reference/style.css')
  return name === 'viewer.css' ? style : join(dirname(style), 'browser/standalone.js')
}

/**
 * The OpenAPI document as a page for people, by Scalar's viewer. It is a megabyte and a half, compressed: so it is
 * read when the page is first opened, and kept in compressed form only.
 */
export function addReferencePage(app: OpenAPIHono<ApiEnv>, document: () => Document): void {
  const page = once(() => renderPage(document()))
  app.get(REFERENCE_PATH, (c) => c.html(page(), 200, { 'content-security-policy': POLICY }))
  addFile(app, 'viewer.js', 'text/javascript', () => readFile(viewerFile('viewer.js')))
  addFile(app, 'viewer.css', 'text/css', () => readFile(viewerFile('viewer.css')))
  addFile(app, 'page.css', 'text/css', async () => Buffer.from('body { margin: 0 }\n'))
  addFile(app, 'start.js', 'text/javascript', async () => Buffer.from(START))
}

function addFile(
  app: OpenAPIHono<ApiEnv>,
  name: string,
  type: string,
  read: () => Promise<Buffer>,
): void {
  const compressed = once(async () => new Uint8Array(await promisify(gzip)(await read())))
  app.get(`${REFERENCE_PATH}/${name}`, async (c) => {
    const bytes = await compressed()
    const isGzipped = acceptsGzip(c)
    return c.body(isGzipped ? bytes : new Uint8Array(await promisify(gunzip)(bytes)), 200, {
      'content-type': `${type}; charset=utf-8`,
      'cache-control': 'public, max-age=3600',
      'x-content-type-options': 'nosniff',
      vary: 'accept-encoding',
      ...(isGzipped && { 'content-encoding': 'gzip' }),
    })
  })
}

const acceptsGzip = (c: Context) => /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')

function renderPage(document: Document) {
  const operations = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    operationsOf(item).map(([method, { summary }]) => ({ method, path, summary })),
  )
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${document.info.title} API</title>
<link rel="stylesheet" href="${REFERENCE_PATH}/viewer.css">
<link rel="stylesheet" href="${REFERENCE_PATH}/page.css">
</head>
<body>
<div id="reference"></div>
<noscript>
<h1>${document.info.title} API</h1>
<p>This page needs JavaScript. Without it, read the OpenAPI document: <a href="${DOCUMENT_PATH}">${DOCUMENT_PATH}</a>.</p>
<ul>${operations.map(
    ({ method, path, summary }) =>
      html`<li>${summary}: <code>${method.toUpperCase()} ${path}</code></li>`,
  )}</ul>
</noscript>
<script src="${REFERENCE_PATH}/viewer.js"></script>
<script src="${REFERENCE_PATH}/start.js"></script>
</body>
</html>`
}
