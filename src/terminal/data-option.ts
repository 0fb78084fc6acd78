import type { CommandContext } from './context.ts'
import { UsageError } from './exit-code.ts'
import { readStdin } from './request.ts'

/**
 * The body with the data put in as text: parsed and written again, large numbers would change.
 *
 * @throws UsageError
 */
export async function bodyWithData(
  { data: given, ...values }: Record<string, unknown>,
  context: Pick<CommandContext, 'stdin'>,
): Promise<string> {
  const rest = JSON.stringify(values)
  if (given === undefined) return rest
  const data = given === '-' ? await readStdin(context) : String(given)
  assertJson(data)
  return `${rest.slice(0, -1)}${rest === '{}' ? '' : ','}"data":${data}}`
}

/** Also keeps `1,"tenant":"other"` from becoming more than data. */
function assertJson(data: string): void {
  try {
    JSON.parse(data)
  } catch (error) {
    throw new UsageError(`data is not JSON: ${(error as SyntaxError).message}`, { cause: error })
  }
}
