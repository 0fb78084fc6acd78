/** The largest form is that of an event type: a schema of 128 KiB, in which every byte may be written as three. */
export const FORM_BYTES_MAX = 524_288
/** A key, and a page of ours to go on to with its filters; nobody who sends this is known yet. */
export const SIGN_IN_BYTES_MAX = 16_384
