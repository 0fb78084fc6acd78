import { type Client, needed } from './client.ts'

/** An operation of the API, as the running service documents it. */
export interface Operation {
  method: string
  /** `/api/tenants/{tenant}/endpoints/{id}`. */
  path: string
  /** Whether no key is needed. */
  isPublic: boolean
  /** Whether its answer has no end. */
  streams: boolean
  queryNames: string[]
  /** Example of the body. */
  body: unknown
}

export const nameOf = ({ method, path }: Operation): string => `${method} ${path}`
export const isOfTenant = ({ path }: Operation): boolean => path.includes('{tenant}')
/** Something in the path next to the tenant. */
export const hasId = ({ path }: Operation): boolean => /\{(?!tenant\})/.test(path)

/** The operations that the service has, so that one that is added is attacked by itself. */
export async function readOperations({ send }: Client): Promise<Operation[]> {
  const { paths } = needed(await send('GET', '/openapi.json'), 'the document of the API')
  return Object.entries<Record<string, object>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, documented]) => operationOf(method, path, documented)),
  )
}

// biome-ignore lint/suspicious/noExplicitAny: a part of the document, looked into by name
function operationOf(method: string, path: string, documented: Record<string, any>): Operation {
  const { security, parameters = [], requestBody, responses } = documented
  return {
    method: method.toUpperCase(),
    path,
    isPublic: security?.length === 0,
    streams: JSON.stringify(responses).includes('text/event-stream'),
    queryNames: parameters
      .filter((parameter: { in: string }) => parameter.in === 'query')
      .map(({ name }: { name: string }) => name),
    body: requestBody?.content?.['application/json']?.example,
  }
}

/** The paths with this tenant, and each of the ids as whatever else is in the path. */
export function pathsWith({ path }: Operation, tenant: string, ids: readonly string[]): string[] {
  const ofTenant = path.replace('{tenant}', tenant)
  if (!ofTenant.includes('{')) return [ofTenant]
  return ids.map((id) => ofTenant.replaceAll(/\{\w+\}/g, id))
}
