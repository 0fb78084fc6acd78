import type { OpenAPIHono } from '@hono/zod-openapi'
import { html } from 'hono/html'
import { once } from '../clock.ts'
import type { ApiEnv } from './authenticate.ts'
import {
  AUTHENTICATION,
  DOCUMENT_PATH,
  type Document,
  type Operation,
  operationsOf,
} from './document.ts'
import type { Schema } from './examples.ts'
import { type Html, json, membersOf, prose, typeOf } from './reference-schema.ts'
import { REFERENCE_STYLE } from './reference-style.ts'

export const REFERENCE_PATH = '/docs'
const STYLE_PATH = `${REFERENCE_PATH}/style.css`
/** Nothing but our own style sheet: no script, no inline style, no other host. */
const POLICY =
  "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

interface Entry {
  method: string
  path: string
  operation: Operation
}

/**
 * The OpenAPI document as a page for people. Rendered here and without a script, so that it works offline and
 * under the strictest policy; viewers in the browser come with megabytes of script and inline styles.
 */
export function addReferencePage(app: OpenAPIHono<ApiEnv>, document: () => Document): void {
  const page = once(() => renderPage(document()))
  app.get(REFERENCE_PATH, (c) => c.html(page(), 200, { 'content-security-policy': POLICY }))
  app.get(STYLE_PATH, (c) => {
    const headers = { 'content-type': 'text/css; charset=utf-8', 'cache-control': 'max-age=3600' }
    return c.body(REFERENCE_STYLE, 200, headers)
  })
}

function renderPage(document: Document): Html {
  const { info, tags = [] } = document
  const entries = entriesOf(document)
  const groups = tags
    .map(({ name, description }) => ({ name, description, entries: entries.filter(isOf(name)) }))
    .filter(({ entries }) => entries.length > 0)
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API</title>
<link rel="stylesheet" href="${STYLE_PATH}">
</head>
<body>
<nav aria-label="Operations">
<p><a href="#top">${info.title}</a> ${info.version}</p>
${groups.map(({ name, entries }) => html`<h2>${name}</h2><ul>${entries.map(link)}</ul>`)}
<h2>Schemas</h2>
<ul>${schemasOf(document).map(([name]) => html`<li><a href="#schema-${name}">${name}</a></li>`)}</ul>
</nav>
<main id="top">
<h1>${info.title} API</h1>
${info.description?.split('\n\n').map((paragraph) => html`<p>${prose(paragraph)}</p>`)}
<h2>Authentication</h2>
<p>${prose(AUTHENTICATION)}</p>
<p>For programs: <a href="${DOCUMENT_PATH}">${DOCUMENT_PATH}</a> (OpenAPI 3.1).</p>
${groups.map(
  ({ name, description, entries }) =>
    html`<h2>${name}</h2><p>${prose(description)}</p>${entries.map(section)}`,
)}
<h2>Schemas</h2>
${schemasOf(document).map(schemaSection)}
</main>
</body>
</html>`
}

const entriesOf = ({ paths = {} }: Document): Entry[] =>
  Object.entries(paths).flatMap(([path, item]) =>
    operationsOf(item).map(([method, operation]) => ({ method, path, operation })),
  )

const isOf =
  (tag: string) =>
  ({ operation }: Entry) =>
    operation.tags?.includes(tag) ?? false

const schemasOf = ({ components }: Document): [string, Schema][] =>
  Object.entries((components?.schemas ?? {}) as Record<string, Schema>)

const link = ({ operation }: Entry): Html =>
  html`<li><a href="#${operation.operationId}">${operation.summary}</a></li>`

function section({ method, path, operation }: Entry): Html {
  return html`<section id="${operation.operationId}">
<h3>${operation.summary}</h3>
<p class="path"><code class="method ${method}">${method.toUpperCase()}</code> <code>${path}</code></p>
<p>${prose(operation.description)}</p>
<pre>${curl({ method, path, operation })}</pre>
${parameters(operation)}
${requestBody(operation)}
${Object.entries(operation.responses ?? {}).map(response)}
</section>`
}

/** To be pasted once what stands in braces is replaced. */
function curl({ method, path, operation }: Entry): string {
  const lines = [`curl -sS -X ${method.toUpperCase()} "$POSTRIDER_URL${path}"`]
  if (operation.security?.length !== 0) {
    lines.push('-H "authorization: Bearer $POSTRIDER_API_KEY"')
  }
  const body = contentOf(operation.requestBody)['application/json']
  if (body) {
    lines.push("-H 'content-type: application/json'", `-d '${JSON.stringify(body['example'])}'`)
  }
  return lines.join(' \\\n  ')
}

function parameters({ parameters = [] }: Operation): Html {
  if (parameters.length === 0) return html``
  const rows = (parameters as Schema[]).map(
    ({ name, in: place, required, description, schema }) => html`<tr>
<td><code>${name}</code>${required ? '' : html` <span class="optional">optional</span>`}</td>
<td>${place}</td><td>${typeOf(schema)}</td><td>${prose(description)}</td></tr>`,
  )
  return html`<h4>Parameters</h4><div class="wide"><table>
<thead><tr><th>name</th><th>in</th><th>type</th><th>meaning</th></tr></thead>
<tbody>${rows}</tbody></table></div>`
}

function requestBody({ requestBody }: Operation): Html {
  const contents = Object.entries(contentOf(requestBody))
  return contents.length === 0 ? html`` : html`<h4>Body</h4>${contents.map(content)}`
}

const contentOf = (body: Operation['requestBody']): Record<string, Schema> =>
  body && 'content' in body ? body.content : {}

function response([status, { description, content: contents = {} }]: [string, Schema]): Html {
  return html`<details${status < '300' ? html` open` : ''}>
<summary><code class="status">${status}</code> ${prose(description)}</summary>
${Object.entries(contents as Record<string, Schema>).map(content)}
</details>`
}

function content([type, { schema = {}, example }]: [string, Schema]): Html {
  return html`<p>${typeOf(schema)} as <code>${type}</code></p>
${'$ref' in schema ? '' : membersOf(schema)}
${example === undefined ? '' : json(example)}`
}

function schemaSection([name, schema]: [string, Schema]): Html {
  return html`<section id="schema-${name}"><h3>${name}</h3>
<p>${prose(schema['description'])}</p>${membersOf(schema)}</section>`
}
