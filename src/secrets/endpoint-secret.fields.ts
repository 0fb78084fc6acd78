import { z } from '@hono/zod-openapi'
import { inputsOf, outputsOf, shownTime as time } from '../fields.ts'
import { parseSecret, publicKeyOf } from '../sending/signature.ts'
import {
  InvalidSecret,
  mistakeInAnySecret,
  readSecret,
  SECRET_ENCODINGS,
  type SigningSecret,
  storedForm,
  warningOf,
} from '../sending/signing-secret.ts'
import type { GivenSecret, LiveSecret } from './endpoint-secrets.ts'

const later = time.openapi({ example: '2099-12-31T23:59:59.000Z' })
const OVERLAP_SECONDS_MAX = 7 * 86_400

const secret = z
  .string()
  .superRefine((text, context) => {
    const message = mistakeInAnySecret(text)
    if (message !== null) context.addIssue({ code: 'custom', message })
  })
  .optional()
  .openapi({
    description:
      'Your own, for example one that the receiver has from another system. Default: generated. Stored and ' +
      'shown exactly as given: visible characters, 8 to 256 bytes.',
  })
const kind = z.enum(['hmac', 'ed25519'])
const encoding = z.enum(SECRET_ENCODINGS)
const ENCODING_DESCRIPTION =
  'How the secret is read, whether given or generated. Default: by its form, which the response shows: ' +
  '`whsec_` and base64 of 24 to 75 bytes (Standard Webhooks, Svix) and `whsk_` as base64, all ' +
  'others as text (GitHub, Convoy, Outpost; use `text` for Stripe); a secret that is almost base64 is rejected.'

const SECRET = {
  input: secret,
  output: z.string().openapi({ description: 'Exactly as it was given, or generated.' }),
  example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  option: {
    value: '<secret>',
    about: 'your own secret, exactly as the receiver has it; - reads stdin; default: generated',
  },
  form: {
    label: 'Your own secret',
    isCode: true,
    hint: 'For a receiver that already has a secret from another system. Enter it exactly as it is. Leave empty to generate one.',
  },
}
const KIND_OPTION = {
  value: '<kind>',
  about: 'of a generated one; the receiver of ed25519 has a public key only',
  isChoice: true,
}
const PUBLIC_KEY = {
  output: z.string().nullable().openapi({
    description: 'Of an ed25519 secret: what the receiver verifies with, `whpk_…`.',
  }),
}
const ENCODING = {
  output: encoding.openapi({
    description:
      'How the secret is read: the bytes that it stands for in this encoding sign, without the prefix ' +
      '`whsec_` or `whsk_`. text: its own UTF-8 bytes, prefix included.',
  }),
  option: {
    value: '<encoding>',
    about: 'encoding of the secret; default: detected, and shown in the response',
    isChoice: true,
  },
  form: {
    label: 'Secret encoding',
    choices: [
      ['', 'Automatic: base64 as in Standard Webhooks, otherwise text'],
      ['base64', 'base64, as Standard Webhooks and Svix do'],
      ['base64url', 'URL-safe base64'],
      ['hex', 'hex'],
      ['text', 'Text as it is, as GitHub, Stripe, Convoy and Outpost do'],
    ],
  } as const,
}
const WARNING = {
  output: z.string().nullable().openapi({
    description: 'In words, if the secret is weak or the receiver can read it differently.',
  }),
}

/** Of the secret that an endpoint begins with, next to the fields of the endpoint. */
export const newSecretFields = {
  secret: SECRET,
  secretKind: {
    input: kind.optional().openapi({
      description:
        'Of the secret that is generated. hmac: the receiver knows it too. ed25519: the receiver ' +
        'has the public key, with which nobody can sign.',
      default: 'hmac',
    }),
    option: KIND_OPTION,
  },
  publicKey: PUBLIC_KEY,
  secretEncoding: {
    ...ENCODING,
    input: encoding.optional().openapi({ description: ENCODING_DESCRIPTION }),
  },
  secretWarning: WARNING,
}

/** Of a secret that takes the place of another. */
export const rotationFields = {
  secret: SECRET,
  kind: {
    input: kind.optional().openapi({
      description: 'Of the secret that is generated. Default: that of the current one.',
    }),
    option: { ...KIND_OPTION, name: 'secret-kind' },
  },
  publicKey: PUBLIC_KEY,
  encoding: {
    output: ENCODING.output,
    form: ENCODING.form,
    input: encoding.optional().openapi({
      description: `${ENCODING_DESCRIPTION} A generated one is read as the current one is.`,
    }),
    option: { ...ENCODING.option, name: 'secret-encoding' },
  },
  warning: WARNING,
  overlapSeconds: {
    input: z.int().min(0).max(OVERLAP_SECONDS_MAX).optional().openapi({
      description: 'How long the old secret also signs.',
      default: 86_400,
    }),
    option: {
      value: '<seconds>',
      about: 'how long the old one also signs; default: 86400 (a day), 0 = not at all',
    },
  },
}

export const rotateInput = z
  .strictObject(inputsOf(rotationFields))
  .check(checkSecret({ secret: 'secret', kind: 'kind', encoding: 'encoding' }))
  .openapi('SecretRotation')

const shown = outputsOf(rotationFields)
export const secretsSchema = z
  .object({
    ...shown,
    createdAt: time,
    expiring: z
      .array(z.object({ ...shown, createdAt: time, expiresAt: later }))
      .openapi({ description: 'Replaced ones that still sign, until their overlap ends.' }),
  })
  .openapi('Secrets')

/** @param live at least one: an endpoint that exists has a current secret */
export function presentSecrets(live: LiveSecret[]): z.output<typeof secretsSchema> {
  const [current, ...others] = live
  if (!current) throw new Error('the endpoint has no live secret')
  return {
    ...presentSecret(current),
    createdAt: current.createdAt.toISOString(),
    expiring: others.map((other) => ({
      ...presentSecret(other),
      createdAt: other.createdAt.toISOString(),
      expiresAt: (other.expiresAt ?? other.createdAt).toISOString(),
    })),
  }
}

/** With the endpoint that was made. */
export function presentNewSecret(given: SigningSecret) {
  const { encoding: secretEncoding, warning: secretWarning, ...rest } = presentSecret(given)
  return { ...rest, secretEncoding, secretWarning }
}

function presentSecret(given: SigningSecret) {
  return {
    secret: given.secret,
    encoding: given.encoding,
    publicKey: publicKeyOf(storedForm(given)),
    warning: warningOf(given),
  }
}

/** The rest of what is wrong with a secret depends on how it is to be read: the fields are looked at together. */
export function checkSecret(fields: { [Field in keyof GivenSecret]-?: string }) {
  return z.superRefine<unknown>(
    (values, context) => {
      const given = values as Record<string, unknown>
      const of = (field: string, options: readonly string[]) =>
        options.find((option) => option === given[field])
      const asked = {
        secret: given[fields.secret],
        kind: of(fields.kind, kind.options),
        encoding: of(fields.encoding, SECRET_ENCODINGS),
      } as GivenSecret
      for (const [field, message] of mistakesInSecret(asked)) {
        context.addIssue({ code: 'custom', path: [fields[field]], message })
      }
    },
    // Next to the mistakes of other fields, not after them.
    { when: ({ value }) => typeof value === 'object' && value !== null },
  )
}

function mistakesInSecret({ secret: text, kind: asked, encoding: read }: GivenSecret) {
  const mistakes: [keyof GivenSecret, string][] = []
  if (typeof text === 'string' && mistakeInAnySecret(text) === null) {
    const message = mistakeInSecret(text, read)
    if (message !== null) mistakes.push(['secret', message])
    const isKey = text.startsWith('whsk_')
    if (asked !== undefined && (asked === 'ed25519') !== isKey) {
      mistakes.push(['kind', `is not that of the secret, which is ${isKey ? 'ed25519' : 'hmac'}`])
    }
  } else if (asked === 'ed25519' && read !== undefined && read !== 'base64') {
    mistakes.push(['encoding', 'is base64 where an ed25519 key is generated'])
  }
  return mistakes
}

function mistakeInSecret(text: string, read: GivenSecret['encoding']): string | null {
  try {
    parseSecret(storedForm(readSecret(text, read)))
    return null
  } catch (error) {
    if (error instanceof InvalidSecret) return error.message
    throw error
  }
}
