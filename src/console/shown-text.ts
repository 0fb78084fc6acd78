/** Some screens full. With more, a page is slow to draw and nobody reads it: there is a file then. */
export const SHOWN_CHARACTERS_MAX = 65_536

export const isShownWhole = (text: string): boolean => text.length <= SHOWN_CHARACTERS_MAX

export interface ShownText {
  text: string
  /** Whether there is more of it. */
  isCut: boolean
}

/**
 * Text as a page shows it: JSON with line breaks, its numbers as they were written, and what is no JSON as it
 * is. Where the line breaks would make it too long it stays as it is as well, and is cut if it is too long by itself.
 */
export function shownText(text: string): ShownText {
  if (!isShownWhole(text)) {
    return { text: text.slice(0, SHOWN_CHARACTERS_MAX).toWellFormed(), isCut: true }
  }
  const isPretty = prettyLength(text) <= SHOWN_CHARACTERS_MAX
  return { text: isPretty ? prettyJson(text) : text, isCut: false }
}

/**
 * How long the JSON text becomes with line breaks, about. Each level indents every line within it, so that the
 * length grows with the square of the depth: it has to be known before the work is done.
 */
function prettyLength(text: string): number {
  let length = text.length
  let depth = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/gs)) {
    if (token.startsWith('"')) continue
    if (token === '[' || token === '{') depth += 1
    if (token === ']' || token === '}') depth -= 1
    length += 1 + 2 * Math.max(0, depth)
  }
  return length
}

function prettyJson(text: string): string {
  try {
    const keepNumbers = (_: string, value: unknown, { source }: { source?: string } = {}) =>
      typeof value === 'number' && source !== undefined ? rawJson(source) : value
    return JSON.stringify(
      JSON.parse(text, keepNumbers as (key: string, value: unknown) => unknown),
      null,
      2,
    )
  } catch {
    return text
  }
}

/** Of ES2026, which Node 24 has and its types lack. */
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
