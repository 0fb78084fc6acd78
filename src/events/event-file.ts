import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'

/** Said where somebody asked for it to be forgotten. */
export const ERASED = 'The data of this event was erased'

/** Answers with JSON of an event to be kept, byte for byte; with 410 where it was erased. */
export function jsonFile(c: Context, name: string, text: string | null): Response {
  if (text === null) throw new HTTPException(410, { message: `${ERASED}.` })
  return c.body(text, 200, {
    'content-type': 'application/json; charset=utf-8',
    'content-disposition': `attachment; filename="${name}"`,
  })
}
