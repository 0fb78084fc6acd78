import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { ReceivedRequest } from './received-requests.ts'

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1b1b; background: #fff }
  article { border: 1px solid #ccc; border-radius: 6px; margin: 1rem 0; padding: 0 1rem 1rem }
  h2 { font-size: 1rem } time { color: #555; font-weight: normal }
  .verified { color: #0a6b2d } .unverified { color: #b00020 }
  pre { background: #f4f4f4; padding: .7rem; overflow: auto; max-height: 24rem; white-space: pre-wrap; overflow-wrap: anywhere }
  table { border-collapse: collapse } td { padding: 0 1rem 0 0; vertical-align: top; font-family: ui-monospace, monospace; font-size: 13px; overflow-wrap: anywhere }
  @media (prefers-color-scheme: dark) {
    body { color: #eee; background: #181818 } article { border-color: #444 } time { color: #aaa } pre { background: #262626 }
    .verified { color: #6fd08c } .unverified { color: #ff8a8a }
  }
`
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

/** Nothing but our own style: a body that got past the escaping could still load and run nothing. */
export const PAGE_HEADERS = {
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
}

/** The page of the sandbox; it has no script, and never reloads by itself while somebody reads it. */
export function renderPage(requests: readonly ReceivedRequest[]) {
  return html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>Postrider sandbox</title>
  <style>${raw(STYLE)}</style>
</head>
<body>
  <h1>Sandbox</h1>
  <p>The last requests that were delivered here, newest first, since this process started.
  Reload to see more. The same as JSON: <a href="/sandbox/requests.json">requests.json</a></p>
  ${requests.length === 0 ? html`<p>Nothing has arrived yet. Publish an event, then reload this page.</p>` : requests.map(renderRequest)}
</body>
</html>`
}

function renderRequest(request: ReceivedRequest) {
  const { signature, headers, body, bodyBytes } = request
  return html`<article>
    <h2>#${request.number} ${request.method} ${request.path} <time>${request.receivedAt}</time></h2>
    ${
      signature.verified
        ? html`<p class="verified">✓ The signature verified.</p>`
        : html`<p class="unverified">✗ The signature did not verify: ${signature.reason}.</p>`
    }
    <pre>${body}</pre>
    <details><summary>${bodyBytes} bytes, ${Object.keys(headers).length} headers</summary>
      <table>${Object.entries(headers).map(
        ([name, value]) => html`<tr><td>${name}</td><td>${value}</td></tr>`,
      )}</table>
    </details>
  </article>`
}
