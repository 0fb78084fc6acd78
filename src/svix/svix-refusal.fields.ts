import { z } from '@hono/zod-openapi'

/** What every refusal but 422 is. */
export const svixErrorSchema = z
  .object({
    code: z.string().openapi({ description: 'Stable, for programs.' }),
    detail: z.string(),
  })
  .openapi('HttpErrorOut')

/** 422. */
export const svixInvalidSchema = z
  .object({
    detail: z.array(
      z.object({
        loc: z.array(z.string()).openapi({
          description: 'Path to the field.',
          example: ['body', 'url'],
        }),
        msg: z.string(),
        type: z.string(),
      }),
    ),
  })
  .openapi('HTTPValidationError')
