import {
  type DestinationStream,
  type LevelWithSilent,
  type Logger,
  pino,
  stdTimeFunctions,
} from 'pino'

/**
 * Field names and what they hold, the same in every line:
 *
 * - `tenantId`, `endpointId`, `eventId`, `deliveryId`, `attemptId`, `runnerId`: ids as in the API
 * - `attempt`: number of the attempt, from 1
 * - `outcome`, `statusCode`, `durationMs`: of an attempt
 * - `method`, `path`, `status`, `requestId`: of an HTTP request to us
 * - `err`: an error with its stack
 *
 * The message is an event name: `noun.verb_past`, such as `delivery.attempted`.
 */
export type Log = Logger

/** Never written, wherever a record carries them at its first or second level. */
const REDACTED = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'secrets',
  'apiKey',
  'adminKey',
  'encryptionKey',
  'secretEncryptionKeys',
  'connectionString',
  'databaseUrl',
  'redisUrl',
]

/**
 * JSON lines on stdout, times in UTC.
 *
 * @param destination where to instead, for tests
 */
export function createLog(level: LevelWithSilent, destination?: DestinationStream): Log {
  const options = {
    level,
    base: { pid: process.pid },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: REDACTED.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
  }
  return destination ? pino(options, destination) : pino(options)
}
