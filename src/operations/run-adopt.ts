import { readConfig } from '../config/config.ts'
import { operate } from '../postgres/operate.ts'
import { findDatabase } from '../terminal/connection.ts'
import type { CommandContext } from '../terminal/context.ts'
import { onDatabase } from '../terminal/database.ts'

/** Without a limit of its time: it may cancel millions of deliveries, all or none. */
const SESSION = { applicationName: 'postrider adopt' }

export interface AdoptOptions {
  open: 'cancel' | 'hold' | 'send'
  environment?: string
  json?: true
}

/** @throws OperationRefused where there is nothing to adopt, or runners work on the database */
export async function runAdopt(
  context: CommandContext,
  { open, environment: given, json }: AdoptOptions,
): Promise<void> {
  const named = given === undefined ? {} : { POSTRIDER_ENVIRONMENT: given }
  const { name } = readConfig({ ...context.env, ...named }, 'client').environment
  const adopt = await onDatabase({ ...(await findDatabase(context)), ...SESSION }, (pool) =>
    operate(() =>
      pool.query<{ cancelled: number }>('select postrider.adopt_copy($1, $2) as cancelled', [
        open,
        name ?? null,
      ]),
    ),
  )
  const cancelled = adopt.rows[0]?.cancelled ?? 0
  const environment = name ?? null
  const text = `adopted${name === undefined ? '' : ` by ${name}`}: ${wordsFor(open, cancelled)}\n`
  context.print(json ? `${JSON.stringify({ environment, open, cancelled })}\n` : text)
}

function wordsFor(open: AdoptOptions['open'], cancelled: number): string {
  if (open === 'cancel')
    return cancelled === 1
      ? '1 open delivery was cancelled'
      : `${cancelled} open deliveries were cancelled`
  if (open === 'send') return 'open deliveries are sent'
  return 'all deliveries are held until: select postrider.resume_all()'
}
