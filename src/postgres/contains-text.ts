import { type RawBuilder, type SqlBool, sql } from 'kysely'

/** More than any word has in a row: each letter more is half as many spellings again. */
const S_LETTERS_MAX = 8
/** Letters `s` and `ß` in a row, without marks; or one letter with the marks on it. */
const CLUSTER = /(?:[sSßẞ](?!\p{M}))+|\P{M}\p{M}*|\p{M}+/gu
const S_LETTERS = /^[sSßẞ]+$/
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
  if (texts.some((text) => /[^\0-\x7f]|ss/i.test(text))) {
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
  if (S_LETTERS.test(cluster)) return patternOfS(cluster)
  const [first = '', ...marks] = cluster
  const spellings = [...variantsOf(first)].flatMap((letter) => {
    const written = letter + marks.join('')
    return [written, written.normalize('NFC'), written.normalize('NFD')]
  })
  const escaped = [...new Set(spellings)].map((one) => one.replace(SPECIAL, '\\$&'))
  return escaped.length === 1 ? escaped.join('') : `(?:${escaped.join('|')})`
}

/** `Flussschiff`, `Flußschiff`: any two of them may be one letter, so all ways to write them are looked for. */
function patternOfS(letters: string): string {
  const count = letters.replace(/[ßẞ]/g, 'ss').length
  if (count <= S_LETTERS_MAX) return spellingsOfS(count)
  const pieces = spellingsOfS(S_LETTERS_MAX).repeat(Math.floor(count / S_LETTERS_MAX))
  return `(?:${pieces}${spellingsOfS(count % S_LETTERS_MAX)}|${letters})`
}

function spellingsOfS(count: number): string {
  const all = [[''], ['s']]
  for (let n = 2; n <= count; n++) {
    const [two = [], one = []] = all.slice(-2)
    all.push([...one.map((before) => `${before}s`), ...two.map((before) => `${before}[ßẞ]`)])
  }
  return `(?:${all[count]?.join('|')})`
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
  'ßẞ',
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
