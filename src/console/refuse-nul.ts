import { createMiddleware } from 'hono/factory'
import { HTTPException } from 'hono/http-exception'

/** No address and no form means this character, and Postgres has no text with it. */
const NUL = /%00/

/** Refuses it before a page asks for something by it. */
export const refuseNul = createMiddleware(async (c, next) => {
  if (NUL.test(c.req.url)) {
    throw new HTTPException(400, { message: 'The address holds a NUL character (%00).' })
  }
  await next()
})
