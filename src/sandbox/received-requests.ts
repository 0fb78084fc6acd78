/** What one request that arrived in the sandbox is remembered by. */
export interface ReceivedRequest {
  /** Counts from 1 since the start. */
  number: number
  receivedAt: string
  method: string
  path: string
  /** Key of the tenant in the path. */
  tenant: string
  headers: Record<string, string>
  /** As text; cut off at `BODY_CHARACTERS_MAX`. */
  body: string
  bodyBytes: number
  signature: { verified: boolean; reason: string | null }
}

/** Enough to look back on, little enough to keep in memory whatever arrives. */
export const REQUESTS_MAX = 100
/** A hundred bodies of the largest events would be a gigabyte. */
export const BODY_CHARACTERS_MAX = 65_536

export interface ReceivedRequests {
  add(request: Omit<ReceivedRequest, 'number'>): void
  /** Newest first. */
  list(): ReceivedRequest[]
}

/** The last requests, in memory only. */
export function createReceivedRequests(): ReceivedRequests {
  const requests: ReceivedRequest[] = []
  let count = 0
  return {
    add(request) {
      count += 1
      const body = request.body.slice(0, BODY_CHARACTERS_MAX)
      requests.unshift({ ...request, body, number: count })
      requests.length = Math.min(requests.length, REQUESTS_MAX)
    },
    list: () => [...requests],
  }
}
