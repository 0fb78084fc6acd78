import { Badge } from '../console/parts.tsx'
import type { FoundEndpoint } from './endpoints.ts'

/** What a list knows of how an endpoint fares. */
export type EndpointTrouble = Pick<
  FoundEndpoint,
  'state' | 'failingSince' | 'refusingSince' | 'circuitOpenedAt' | 'unreadable_since'
>

/** Since when it fails: also one that answers, and takes nothing of what it is sent. Null = it does not. */
export const failingSinceOf = (endpoint: EndpointTrouble): Date | null =>
  endpoint.failingSince ?? endpoint.refusingSince ?? endpoint.circuitOpenedAt

export function EndpointState(endpoint: EndpointTrouble) {
  const { state, circuitOpenedAt, unreadable_since: unreadableSince } = endpoint
  const isFailing = state === 'active' && failingSinceOf(endpoint) !== null
  return (
    <>
      {!isFailing && <Badge of={state} />}{' '}
      {isFailing && !circuitOpenedAt && <Badge of="failed" label="Failing" />}{' '}
      {circuitOpenedAt && <Badge of="open" label="Backing off" />}{' '}
      {unreadableSince && <Badge of="open" label="Secret unreadable" />}
    </>
  )
}
