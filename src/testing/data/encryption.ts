import { createSecretBox } from '../../secrets/secrets.ts'

/** Of every service that tests make or start, unless they say otherwise. */
const ENCRYPTION_KEY = Buffer.alloc(32, 7)

/** As in the environment of these services. */
export const ENCRYPTION = { SECRET_ENCRYPTION_KEY: ENCRYPTION_KEY.toString('base64') }

/** Encrypts so that these services can read it. */
export const secretBox = createSecretBox([ENCRYPTION_KEY])
