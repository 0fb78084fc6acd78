import { SECRET_ENCODINGS } from '../sending/signing-secret.ts'
import {
  type Field,
  readList,
  readNumber,
  readNumbers,
  readPair,
} from '../terminal/option-fields.ts'

/** What may be set on an endpoint and changed: a test holds it equal to what the API takes. */
export const ENDPOINT_FIELDS: readonly Field[] = [
  {
    name: 'description',
    value: '<text>',
    about: 'for people',
    off: { about: 'no description', value: '' },
  },
  {
    name: 'eventTypes',
    value: '<types>',
    about: 'comma separated: names, patterns such as order.*, or * for all',
    read: readList,
  },
  {
    name: 'filter',
    value: '<filter>',
    about: "predicate on the data, such as '$.amount > 100'",
    off: { about: 'no filter: every event', value: null },
  },
  {
    name: 'headers',
    option: 'header',
    value: '<name: value>',
    about: 'sent along; give it once for each header, these replace all',
    read: readPair(':'),
    isObject: true,
    off: { about: 'no own headers', value: {} },
  },
  {
    name: 'secretHeaders',
    value: '<names>',
    about:
      'comma separated: headers whose values are never shown again, next to those that look like credentials',
    read: readList,
    off: { about: 'no secret headers but those that look like credentials', value: [] },
  },
  {
    name: 'metadata',
    value: '<name=value>',
    about: 'your own notes; give it once for each, these replace all',
    read: readPair('='),
    isObject: true,
    off: { about: 'no metadata', value: {} },
  },
  {
    name: 'ratePerSecond',
    value: '<n>',
    about: 'requests a second at most, over all runners, such as 10 or 0.5',
    read: readNumber,
    off: { about: 'no limit of requests a second', value: null },
  },
  {
    name: 'maxInFlight',
    value: '<n>',
    about: 'requests at the same time at most, over all runners',
    read: readNumber,
    off: { about: 'no limit of requests at the same time', value: null },
  },
  {
    name: 'timeoutSeconds',
    value: '<seconds>',
    about: 'time that the receiver has to answer, 1 to 60',
    read: readNumber,
    off: { about: 'the time of the service', value: null },
  },
  {
    name: 'retrySchedule',
    value: '<seconds>',
    about:
      'before the 2nd, 3rd, … attempt, comma separated, such as 60,300,3600; none = one attempt',
    read: readNumbers,
    off: { about: 'the schedule of the service', value: null },
  },
]

export const URL_FIELD: Field = {
  name: 'url',
  value: '<url>',
  about: 'where deliveries are posted',
}

const SECRET: Field = {
  name: 'secret',
  value: '<secret>',
  about: 'of your own, exactly as the receiver has it; - reads stdin; generated when left out',
}
const KIND = {
  value: '<kind>',
  about: 'of a generated one; the receiver of ed25519 has a public key only',
  choices: ['hmac', 'ed25519'],
} as const
const ENCODING = {
  value: '<encoding>',
  about: 'how the secret is read; left out, the answer says how it was',
  choices: SECRET_ENCODINGS,
} as const

/** When an endpoint is created nothing is there that could be taken away. */
export const NEW_ENDPOINT_FIELDS: readonly Field[] = [
  ...ENDPOINT_FIELDS.map(({ off: _, ...field }) => field),
  SECRET,
  { name: 'secretKind', ...KIND },
  { name: 'secretEncoding', ...ENCODING },
]

export const ROTATION_FIELDS: readonly Field[] = [
  SECRET,
  { name: 'kind', option: 'secret-kind', ...KIND },
  { name: 'encoding', option: 'secret-encoding', ...ENCODING },
  {
    name: 'overlapSeconds',
    value: '<seconds>',
    about: 'how long the old one signs as well; 86400 (a day) when left out, 0 = not at all',
    read: readNumber,
  },
]
