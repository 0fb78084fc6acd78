import { type Attempt, headersOf, lastSent } from '../attempts/attempts.ts'
import { say, sayAny } from '../console/language.ts'
import { Body, CopyButton } from '../console/parts.tsx'
import { isShownWhole } from '../console/shown-text.ts'
import { ERASED } from '../events/event-parts.tsx'
import { asCurl, fitsCurl } from './as-curl.ts'
import type { SentBody } from './sent-body.ts'

interface RequestBodyProps extends Pick<SentBody, 'type' | 'body' | 'bytes' | 'isMasked'> {
  delivery: { attempts: readonly Attempt[]; url: string }
  /** Of the page of the delivery. */
  path: string
}

type Sent = Pick<RequestBodyProps, 'delivery' | 'bytes' | 'isMasked'>

/** What was signed then is the body of all of it. */
const isInBatch = ({ delivery: { attempts } }: Sent): boolean =>
  (attempts.at(-1)?.batch_id ?? null) !== null

/** It was sent in the shape that the endpoint had then, of which the log keeps the length. */
function isReshaped({ delivery: { attempts }, bytes }: Sent): boolean {
  const sentBytes = headersOf(lastSent(attempts))['content-length']
  return sentBytes !== undefined && bytes !== null && Number(sentBytes) !== bytes
}

/** Whether the signature fits what is shown. */
export const isAsSigned = (sent: Sent): boolean =>
  !(sent.isMasked || isInBatch(sent) || isReshaped(sent))

/** The same for every attempt, so it stands here once. */
export function RequestBody(shown: RequestBodyProps) {
  const { type, body, path } = shown
  if (body === null) {
    return (
      <>
        <h2>{say('Request body')}</h2>
        <p>
          {type === null
            ? say('The event was deleted, and with it the request body.')
            : `${sayAny(ERASED)}.`}
        </p>
      </>
    )
  }
  return (
    <>
      <h2>{say('Request body')}</h2>
      <p>
        {isShownWhole(body) && <CopyButton text={body} what="the body as sent" />}{' '}
        <a href={`${path}/body.json`}>body.json</a>
        {`, ${say(bodyNote(shown))}`} <CurlButton {...shown} body={body} />
      </p>
      <Body of={body} label="Request body" whole={`${path}/body.json`} />
    </>
  )
}

/** To send it again by hand; of what is cut, too long for a shell, masked or part of a batch that is another request. */
function CurlButton(shown: RequestBodyProps & { body: string }) {
  const { delivery, body } = shown
  const sent = lastSent(delivery.attempts)
  if (!sent || !isAsSigned(shown) || !isShownWhole(body) || !fitsCurl(body)) return null
  const command = asCurl({ url: sent.url ?? delivery.url, headers: headersOf(sent), body })
  return <CopyButton text={command} what="the request as cURL" label={say('Copy as cURL')} />
}

/** What is to know of a body before it is compared with its signature. */
function bodyNote(shown: Sent) {
  if (shown.isMasked) return 'with masked data: its signature cannot be verified'
  if (isInBatch(shown)) return 'as part of its batch'
  return isReshaped(shown)
    ? 'in the shape that the endpoint has now: it was sent in another one'
    : 'byte for byte as it was signed'
}
