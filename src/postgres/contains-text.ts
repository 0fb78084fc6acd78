import { type RawBuilder, type SqlBool, sql } from 'kysely'

/** Written as two letters or as one. */
const SHARP_S = /ss(?!\p{M})|[ßẞ]/iu
/** A letter with the marks on it. */
const CLUSTER = /ss(?!\p{M})|\P{M}\p{M}*|\p{M}+/giu
/** What has a meaning in a regular expression. */
const SPECIAL = /[!-/:-@[-`{-~]/g

/**
 * Whether one of the texts stands in the column, as people read it: large and small letters alike in every
 * script, and letters with marks alike whether the mark is its own character (`ü`, `u` and two dots). `ß` is `ss`,
 * as there is no other way to write it in capitals for most. Letters that only look or sound alike are not
 * (`u` and `ü`), nor is half of a letter (`s` and `ß`).
 *
 * Compares by the collation C, with the letters beyond ASCII spelled out, so that the result does not depend on the
 * locale of the database, and costs no conversion of the column.
 */
export function containsText(
  column: RawBuilder<unknown>,
  texts: readonly string[],
): RawBuilder<SqlBool> {
  if (texts.some((text) => /[^\0-\x7f]/.test(text) || SHARP_S.test(text))) {
    return sql<SqlBool>`(${column} collate "C") ~* ${texts.map(patternOf).join('|')}`
  }
  const likes = texts.map((text) => `%${text.replace(/[\\%_]/g, '\\$&')}%`)
  return sql<SqlBool>`(${column} collate "C") ilike any (${likes}::text[])`
}

/** As a regular expression of Postgres, which knows no more than the cases of ASCII. */
function patternOf(text: string): string {
  const clusters = text.normalize('NFC').match(CLUSTER) ?? []
  return clusters.map(patternOfCluster).join('')
}

function patternOfCluster(cluster: string): string {
  if (SHARP_S.test(cluster)) return `(?:ss|ß|ẞ)${cluster.replace(SHARP_S, '')}`
  const [first = '', ...marks] = cluster
  const spellings = [...variantsOf(first)].flatMap((letter) => {
    const written = letter + marks.join('')
    return [written, written.normalize('NFC'), written.normalize('NFD')]
  })
  const escaped = [...new Set(spellings)].map((one) => one.replace(SPECIAL, '\\$&'))
  return escaped.length === 1 ? escaped.join('') : `(?:${escaped.join('|')})`
}

/** Small letters that share a capital one, and signs that are separate letters only to Unicode. */
const TWINS = [
  'σς',
  'βϐ',
  'θϑϴ',
  'φϕ',
  'πϖ',
  'κϰ',
  'ρϱ',
  'εϵ',
  'ṡẛ',
  'ǆǅ',
  'ǉǈ',
  'ǌǋ',
  'ǳǲ',
].concat(
  // Micro, ohm, angstrom, and iota below a letter.
  ...['\u03bc\u00b5', 'ω\u2126', 'å\u212b', 'ι\u1fbe'],
)

/** The letter and those that are the same but for their case, `Σ σ ς`; those of ASCII are left to Postgres. */
function variantsOf(letter: string): ReadonlySet<string> {
  if (letter <= '\x7f') return new Set([letter])
  const cases = casesOf(letter)
  const twins = TWINS.find((family) => cases.some((one) => family.includes(one))) ?? ''
  return new Set([...cases, ...[...twins].flatMap(casesOf)])
}

/** Only those of one character. */
const casesOf = (letter: string): string[] =>
  [letter, letter.toLowerCase(), letter.toUpperCase()].filter((one) => [...one].length === 1)
