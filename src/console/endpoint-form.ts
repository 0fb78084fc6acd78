import type { EndpointChange } from '../client/client.ts'
import type { Endpoint } from '../endpoints/endpoints.ts'

/** An endpoint as the text fields of a form. */
export function valuesOf(endpoint: Endpoint): Record<string, string> {
  const { headers, retry_schedule: schedule } = endpoint
  return {
    url: endpoint.url,
    description: endpoint.description,
    eventTypes: endpoint.event_types.join('\n'),
    filter: endpoint.filter ?? '',
    headers: Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
    ratePerSecond: textOf(endpoint.rate_per_second),
    maxInFlight: textOf(endpoint.max_in_flight),
    timeoutSeconds: textOf(endpoint.timeout_seconds),
    retrySchedule: schedule?.join(', ') ?? '',
  }
}

/**
 * What the form says, as the API takes it; what cannot be read goes along as it is, and the API says what is
 * wrong with it.
 */
export function bodyOf(values: Record<string, string>): EndpointChange {
  const text = (name: string) => values[name]?.trim() ?? ''
  return {
    url: text('url'),
    description: text('description'),
    eventTypes: eventTypesOf(text('eventTypes')),
    filter: text('filter') === '' ? null : text('filter'),
    headers: headersOf(text('headers')),
    ratePerSecond: numberOf(text('ratePerSecond')),
    maxInFlight: numberOf(text('maxInFlight')),
    timeoutSeconds: numberOf(text('timeoutSeconds')),
    retrySchedule:
      text('retrySchedule') === ''
        ? null
        : text('retrySchedule')
            .split(/[\s,]+/)
            .map(Number),
  }
}

/** One a line, or with commas; every type when there is none. */
export function eventTypesOf(text: string): string[] {
  const types = text.split(/[\s,]+/).filter(Boolean)
  return types.length === 0 ? ['*'] : types
}

/** `Name: value`, one a line. */
function headersOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  return Object.fromEntries(
    lines.map((line) => {
      const [name = '', ...rest] = line.split(':')
      return [name.trim(), rest.join(':').trim()]
    }),
  )
}

const numberOf = (text: string): number | null => (text === '' ? null : asNumber(text))

/** What is no number stays text, which the API refuses; NaN would reach it as null, and mean no limit. */
export function asNumber(text: string): number {
  const number = Number(text)
  return Number.isNaN(number) ? (text as unknown as number) : number
}

const textOf = (value: number | string | null): string => (value === null ? '' : String(value))
