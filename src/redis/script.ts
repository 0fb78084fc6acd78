import { createHash } from 'node:crypto'
import type { RedisCommands, ScriptArguments } from './redis.ts'

/** A Lua script and the name under which Redis remembers it. */
export interface Script {
  text: string
  sha1: string
}

export function defineScript(text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') }
}

/** Sends the short name, and the text to a Redis that does not know it: one that is new or was restarted. */
export async function runScript(
  redis: RedisCommands,
  { text, sha1 }: Script,
  given: ScriptArguments,
): Promise<unknown> {
  try {
    return await redis.evalSha(sha1, given)
  } catch (error) {
    // Redis puts its error codes into the first word of the message.
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT '))) throw error
    return await redis.eval(text, given)
  }
}
