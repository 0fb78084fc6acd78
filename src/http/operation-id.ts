/**
 * A name for an operation, for the functions that generated clients have: `GET
 * /api/tenants/{tenant}/endpoints/{id}/secret` is `getEndpointSecret`.
 *
 * @param isList the answer is a page
 */
export function operationId(method: string, path: string, isList: boolean): string {
  const segments = path
    .replace(/^\/api\//, '/')
    .split('/')
    .filter(Boolean)
  const last = segments.at(-1) ?? ''
  // A verb at the end, as in `…/{id}/pause`; collections end in s.
  if (method === 'post' && /^[a-z]*[^s}]$/.test(last)) return last + nounOf(segments.slice(0, -1))
  if (method === 'get') return (isList ? 'list' : 'get') + nounOf(segments)
  if (method === 'post') return `create${singular(nounOf(segments))}`
  return (VERBS[method] ?? method) + nounOf(segments)
}

const VERBS: Record<string, string> = { patch: 'update' }

/** Of a chain of collections and members; a tenant owns nearly everything and is left out. */
function nounOf(segments: readonly string[]): string {
  const words = segments.flatMap((segment, index) => {
    if (segment.startsWith('{')) return []
    const isMember = segments[index + 1]?.startsWith('{')
    return [pascalCase(isMember ? singular(segment) : segment)]
  })
  return (words[0] === 'Tenant' && words.length > 1 ? words.slice(1) : words).join('')
}

const singular = (word: string): string => word.replace(/ies$/, 'y').replace(/s$/, '')

const pascalCase = (segment: string): string =>
  segment.replace(/(?:^|-)(\w)/g, (_, letter) => letter.toUpperCase())
