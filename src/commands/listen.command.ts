import { type Command, Option } from 'commander'
import { LRUCache } from 'lru-cache'
import { follow, withFilterOptions } from '../attempts/follow-options.ts'
import { type FollowedAttempt, Postrider, PostriderError } from '../client/client.ts'
import { parseSecret } from '../sending/signature.ts'
import {
  InvalidSecret,
  readSecret,
  SECRET_ENCODINGS,
  type SecretEncoding,
  storedForm,
} from '../sending/signing-secret.ts'
import { findConnection } from '../terminal/connection.ts'
import type { CommandContext } from '../terminal/context.ts'
import { UsageError } from '../terminal/exit-code.ts'
import { cellOf } from '../terminal/output.ts'
import { type Paint, paintFor } from '../terminal/paint.ts'
import { isJson } from '../terminal/request.ts'
import { type Forwarded, forward } from './forward.ts'

/** Of events that were forwarded; each is forwarded once, however often it is tried. */
const REMEMBERED_MAX = 10_000
/** A change of the templates of an endpoint may go unnoticed for so long. */
const TEMPLATES_KEPT_MS = 5_000
const ENDPOINTS_MAX = 1_000

interface Options {
  forward: string
  secret?: string
  secretEncoding?: SecretEncoding
}

/** Forwards the events of a tenant to a program on this machine, as its endpoints get them. */
export function addListenCommand(program: Command, context: CommandContext): void {
  const encoding = new Option(
    '--secret-encoding <encoding>',
    'encoding of the secret; default: detected',
  )
  const command = withFilterOptions(program.command('listen'))
    .description('forward the events of a tenant to a URL on this machine')
    .argument('<tenant>', 'key of the tenant')
    .requiredOption('--forward <url>', 'such as http://localhost:3000/webhooks')
    .option('--secret <secret>', 'sign with this secret instead of forwarding the signature')
    .addOption(encoding.choices([...SECRET_ENCODINGS]))
    .option('--json', 'print one JSON document a line')
    .action(() => listen(context, command))
}

async function listen(context: CommandContext, command: Command): Promise<void> {
  const { forward: target, secret: given, secretEncoding } = command.opts<Options>()
  const url = urlOf(target)
  const secret = given === undefined ? undefined : toSignWith(given, secretEncoding)
  const [paint, isNew, headersOf] = [
    paintFor(context),
    createMemory(),
    await signatureHeaders(context, command),
  ]
  const attempts = await follow(context, command, {
    include: 'request',
    answers: 'false',
    onOpen: () => context.note(`forwarding to ${url}; stop with Ctrl-C\n`),
  })
  for await (const one of attempts) {
    if (!one.event || one.request?.body == null || !isNew(one)) continue
    const signing = secret === undefined ? null : { secret, signatureHeaders: await headersOf(one) }
    const result = await forward(url, one, { signing, signal: context.stopSignal })
    if (context.stopSignal.aborted) break
    context.print(isJson(command) ? jsonOf(one, result) : lineOf(one, result, paint))
  }
}

/** Asks for the templates of an endpoint; who signs again needs them. */
async function signatureHeaders(context: CommandContext, command: Command) {
  const { url, key } = await findConnection(context)
  const api = new Postrider({ url, apiKey: key })
  const [tenant = ''] = command.args
  const known = new LRUCache<string, Record<string, string>>({
    ...{ max: ENDPOINTS_MAX, ttl: TEMPLATES_KEPT_MS },
    fetchMethod: async (id) => {
      const path = { tenant, id }
      return (await api.request('GET /api/tenants/{tenant}/endpoints/{id}', { path }))
        .signatureHeaders
    },
  })
  return async ({ delivery: { endpointId } }: FollowedAttempt): Promise<Record<string, string>> => {
    try {
      return (await known.fetch(endpointId)) ?? {}
    } catch (error) {
      if (!(error instanceof PostriderError)) throw error
      // The event is worth more than its other schemes, which then verify with the secret of the endpoint.
      context.note(
        `other signature headers are the ones that endpoint ${endpointId} was sent: ${error.message}\n`,
      )
      return {}
    }
  }
}

/** @throws UsageError that does not hold the secret */
function toSignWith(given: string, encoding: SecretEncoding | undefined): string {
  try {
    const stored = storedForm(readSecret(given, encoding))
    parseSecret(stored)
    return stored
  } catch (error) {
    if (!(error instanceof InvalidSecret)) throw error
    throw new UsageError(`--secret ${error.message}`, { cause: error })
  }
}

function urlOf(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href
  throw new UsageError(`--forward ${text} is no URL that begins with http:// or https://`)
}

/** An event comes once, from whichever endpoint has it first; again when somebody has it sent again. */
function createMemory(): (one: FollowedAttempt) => boolean {
  const known = new LRUCache<string, true>({ max: REMEMBERED_MAX })
  return ({ attempt, delivery: { eventId } }) => {
    if (attempt.trigger === 'schedule' && known.has(eventId)) return false
    known.set(eventId, true)
    return true
  }
}

function jsonOf({ event, delivery }: FollowedAttempt, result: Forwarded): string {
  const { eventId, endpointId } = delivery
  return `${JSON.stringify({ eventId, type: event?.type, endpointId, ...result })}\n`
}

function lineOf({ event }: FollowedAttempt, result: Forwarded, paint: Paint): string {
  const { statusCode, error, durationMs } = result
  const isGood = statusCode !== null && statusCode >= 200 && statusCode < 300
  const answer = String(statusCode ?? 'no response')
  return `${[
    new Date().toISOString(),
    cellOf(event?.type),
    cellOf(event?.id),
    paint('outcome', isGood ? 'delivered' : 'rejected', answer),
    `${Math.round(durationMs)} ms`,
    ...(error === null ? [] : [cellOf(error)]),
  ].join('  ')}\n`
}
