import { z } from '@hono/zod-openapi'
import { type Fields, inputsOf, outputsOf } from '../fields.ts'
import { storableText } from '../http/validation.ts'
import type { CertificateDescription } from './client-certificate.ts'

/** The service measures them again; this keeps what it quotes short. */
const PEM_LENGTH_MAX = 65_536
const time = z.iso.datetime()

export const clientCertificateFields = {
  certificate: {
    input: storableText(PEM_LENGTH_MAX).openapi({
      description: "PEM: the endpoint's own first, then those of the authorities between.",
    }),
    option: {
      value: '<file>',
      about: 'PEM: the certificate, then its intermediates',
      isRequired: true,
    },
  },
  privateKey: {
    input: storableText(PEM_LENGTH_MAX).openapi({
      description: 'PEM, without a passphrase. Encrypted at rest, and never shown again.',
    }),
    option: {
      value: '<file>',
      about: 'PEM, without a passphrase; - reads stdin; never shown again',
      isRequired: true,
    },
  },
  subject: { output: z.string() },
  issuer: { output: z.string() },
  serialNumber: { output: z.string() },
  fingerprint: { output: z.string().openapi({ description: 'SHA-256, `AB:CD:…`.' }) },
  validFrom: { output: time },
  validTo: { output: time },
} as const satisfies Fields

export const newCertificateInput = z
  .strictObject(inputsOf(clientCertificateFields))
  .openapi('NewClientCertificate')
export const certificateSchema = z
  .object(outputsOf(clientCertificateFields))
  .openapi('ClientCertificate')

export function presentCertificate(
  found: CertificateDescription,
): z.output<typeof certificateSchema> {
  const { validFrom, validTo } = found
  return { ...found, validFrom: validFrom.toISOString(), validTo: validTo.toISOString() }
}
