import type { App } from '../http/authenticate.ts'
import { Problem } from '../problem.ts'
import { THIN_PATH, type ThinLinks } from '../sending/thin-link.ts'
import type { ThinEvents } from './thin-events.ts'

interface Options {
  thinLinks: Pick<ThinLinks, 'open'>
  thinEvents: ThinEvents
}

/** Where the receiver of a thin event gets the rest. It has no key of ours: the link is signed, and ends. */
export function addThinEventRoute(app: App, { thinLinks, thinEvents }: Options): void {
  app.get(`${THIN_PATH}/:token`, async (c) => {
    c.header('cache-control', 'no-store')
    const linked = thinLinks.open(c.req.param('token'), Math.floor(Date.now() / 1000))
    const body = linked && (await thinEvents.bodyOf(linked))
    // Nobody is told whether a link was right once.
    if (body === null) throw new Problem('event_not_found')
    return c.body(body, 200, { 'content-type': 'application/json' })
  })
}
