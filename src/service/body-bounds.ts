import type { Config } from '../config/config.ts'
import { CONSOLE_PATH } from '../console/console-path.ts'
import { FORM_BYTES_MAX, SIGN_IN_BYTES_MAX } from '../console/forms.ts'
import { MATCH_PATH, matchBytesMax } from '../events/endpoint-match.routes.ts'
import { ENVELOPE_BYTES, PUBLISH_PATH } from '../events/publish.routes.ts'
import { BATCH_PATH, batchBytesMax } from '../events/publish-batch.routes.ts'
import type { BodyBytesMax } from '../http/body-gate.ts'
import { SETTINGS_BYTES_MAX } from '../http/request-body.ts'
import { PORTAL_PATH } from '../portal-links/portal-path.ts'
import { deliveredBytesMax } from '../sandbox/sandbox.routes.ts'
import { SANDBOX_PATH } from '../sandbox/sandbox-endpoint.ts'
import { MESSAGE_ENVELOPE_BYTES, MESSAGES_PATH } from '../svix/messages/svix-message.routes.ts'

/**
 * What the body of a request may have, whether or not its route takes one: what settings need, unless it is among
 * the few that may be larger. A route that is added is bounded with them.
 */
export function createBodyBounds({ eventBytesMax }: Pick<Config, 'eventBytesMax'>): BodyBytesMax {
  const exceptions: [RegExp, number][] = [
    [exactly(PUBLISH_PATH), eventBytesMax + ENVELOPE_BYTES],
    [exactly(BATCH_PATH), batchBytesMax(eventBytesMax)],
    [MESSAGES_PATH, eventBytesMax + MESSAGE_ENVELOPE_BYTES],
    [MATCH_PATH, matchBytesMax(eventBytesMax)],
    [below(`${SANDBOX_PATH}/in`), deliveredBytesMax(eventBytesMax)],
    [exactly(`${CONSOLE_PATH}/sign-in`), SIGN_IN_BYTES_MAX],
    [below(CONSOLE_PATH), FORM_BYTES_MAX],
    [below(PORTAL_PATH), FORM_BYTES_MAX],
  ]
  return ({ method, path }) => {
    if (method !== 'POST') return SETTINGS_BYTES_MAX
    return exceptions.find(([where]) => where.test(path))?.[1] ?? SETTINGS_BYTES_MAX
  }
}

const exactly = (path: string): RegExp => new RegExp(`^${path}$`)
const below = (path: string): RegExp => new RegExp(`^${path}/`)
