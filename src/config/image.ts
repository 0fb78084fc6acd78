import { closeSync, openSync, readSync } from 'node:fs'
import { z } from 'zod'

/** Every page loads it; a logo is a tenth of this. */
export const LOGO_BYTES_MAX = 65_536

export interface Image {
  bytes: Buffer
  /** As found in the bytes, whatever the name of the file says. */
  type: string
}

/**
 * How each format begins. SVG is not among them: opened by itself it is a page that could run scripts under the
 * address of the service.
 */
const FORMATS: readonly (readonly [type: string, begins: RegExp])[] = [
  ['image/png', /^\x89PNG\r\n/],
  ['image/jpeg', /^\xff\xd8\xff/],
  ['image/gif', /^GIF8[79]a/],
  ['image/webp', /^RIFF.{4}WEBP/s],
]

/** The format that the bytes are of; undefined = none that is shown. */
export function typeOfImage(bytes: Buffer): string | undefined {
  const start = bytes.subarray(0, 16).toString('latin1')
  return FORMATS.find(([, begins]) => begins.test(start))?.[0]
}

/** Reads an image within bounds; for a schema. */
export function readImage(file: string, context: z.RefinementCtx): Image {
  try {
    const bytes = readUpTo(file, LOGO_BYTES_MAX + 1)
    const type = typeOfImage(bytes)
    if (bytes.length > LOGO_BYTES_MAX) context.addIssue(`${file} is larger than 64 KiB`)
    else if (type === undefined) context.addIssue(`${file} is no PNG, JPEG, WebP or GIF`)
    else return { bytes, type }
  } catch (error) {
    context.addIssue(`cannot read ${file} (${(error as NodeJS.ErrnoException).code})`)
  }
  return z.NEVER
}

/** A wrong path may lead to something without an end. */
function readUpTo(file: string, bytesMax: number): Buffer {
  const handle = openSync(file, 'r')
  try {
    const buffer = Buffer.alloc(bytesMax)
    let length = 0
    while (length < bytesMax) {
      const read = readSync(handle, buffer, length, bytesMax - length, null)
      if (read === 0) break
      length += read
    }
    return buffer.subarray(0, length)
  } finally {
    closeSync(handle)
  }
}
