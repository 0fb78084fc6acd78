/**
 * Characters that nobody sees, or that make what stands around them look like something else: a name that
 * holds one can pass for another, and a URL that does leads to another place than it says.
 */

/**
 * Symbols and letters whose shape is blank: of Braille, the place of an object, of Khitan, of hieroglyphs (two), of music.
 * Unicode has no class for them.
 */
const BLANK_SHAPES = String.raw`\u2800\uFFFC\u{16FE4}\u{13441}\u{13442}\u{1D159}`
/** Control and format characters, separators, lone surrogates, what fonts leave out, and every blank. */
const HIDDEN = String.raw`[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Zs}\p{DI}\p{NChar}${BLANK_SHAPES}]`
/** Scripts whose letters change their shape by a joiner or non-joiner between. */
const JOINED = ['Arabic', 'Syriac', 'Mongolian', 'Devanagari', 'Bengali', 'Gurmukhi', 'Gujarati']
  .concat('Oriya', 'Tamil', 'Telugu', 'Kannada', 'Malayalam', 'Sinhala', 'Khmer', 'Myanmar')
  .map((script) => String.raw`\p{Script=${script}}`)
  .join('')
/** Where one of them is a part of what people see: emoji, variants of Han, joined letters. */
const SIGN = [
  String.raw`\p{RGI_Emoji}|\p{ExtPict}[\uFE0E\uFE0F]`,
  String.raw`\p{Script=Han}[\uFE00-\uFE0F\u{E0100}-\u{E01EF}]`,
  String.raw`(?<=[${JOINED}]\p{M}*)[\u200C\u200D](?=[${JOINED}])`,
].join('|')
let signOrHidden: RegExp | undefined
const ANY_HIDDEN = new RegExp(HIDDEN, 'v')
const PROSE = String.raw`[\n\r\t\p{Zs}]`
const OF_PROSE = new RegExp(PROSE, 'v')
const HIDDEN_IN_PROSE = new RegExp(`[${HIDDEN}--${PROSE}]`, 'v')
/** A text field, which keeps what it holds; a tag; or the text between. */
const PARTS_OF_HTML = /<textarea\b.*?<\/textarea>|<[^>]*>|(?<text>[^<]+)/gs

const TURNS = 'which turns the direction of writing'
/** What the most likely ones are called; the rest has to do with its number. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['\0', 'NUL'],
  ['\t', 'a tab'],
  ['\n', 'a line break'],
  ['\r', 'a line break'],
  [' ', 'a blank'],
  ['\u00a0', 'a no-break space'],
  ['\u00ad', 'a soft hyphen'],
  ['\u200b', 'a zero width space'],
  ['\u200c', 'a zero width non-joiner'],
  ['\u200d', 'a zero width joiner'],
  ['\u200e', 'a left-to-right mark'],
  ['\u200f', 'a right-to-left mark'],
  ['\u202a', TURNS],
  ['\u202b', TURNS],
  ['\u202d', TURNS],
  ['\u202e', TURNS],
  ['\u202f', 'a narrow no-break space'],
  ['\u2060', 'a word joiner'],
  ['\u2066', TURNS],
  ['\u2067', TURNS],
  ['\u2068', TURNS],
  ['\ufeff', 'a byte order mark'],
])

/**
 * What a text may hold. `code`: what is seen, without blanks (URLs). `name`: a line that people read, with
 * ordinary blanks between. `prose`: several lines, and blanks of every kind.
 */
export type TextKind = 'code' | 'name' | 'prose'

/** Made when it is first needed: to list every emoji takes longer than most commands have to do. */
function signsAndHidden(): RegExp {
  signOrHidden ??= new RegExp(`(?<sign>${SIGN})|${HIDDEN}`, 'gv')
  return signOrHidden
}

/** What is wrong with the text, naming the first character that has no place in it; null = nothing. */
export function hiddenIn(text: string, kind: TextKind): string | null {
  for (const { 0: found, groups } of text.matchAll(signsAndHidden())) {
    if (groups?.['sign'] !== undefined && kind !== 'code') continue
    const hidden = [...found].find((character) => ANY_HIDDEN.test(character))
    if (hidden !== undefined && !isAllowed(hidden, kind)) return `contains ${nameOf(hidden)}`
  }
  return kind === 'name' && /^ | $/.test(text) ? 'begins or ends with a blank' : null
}

/** Text for a screen: what cannot be seen, or turns the direction of writing, stands there as `\u202e`. */
export function showHidden(text: string): string {
  if (!HIDDEN_IN_PROSE.test(text)) return text
  return text.replace(signsAndHidden(), (found, ...rest) => {
    const { sign } = rest.at(-1) as { sign?: string }
    return sign !== undefined || isAllowed(found, 'prose') ? found : escaped(found)
  })
}

/** The same for the text of a page whose tags are ours; fields keep their values. */
export function showHiddenInHtml(html: string): string {
  if (!HIDDEN_IN_PROSE.test(html)) return html
  return html.replace(PARTS_OF_HTML, (part, text?: string) =>
    text === undefined ? part : showHidden(text),
  )
}

function isAllowed(character: string, kind: TextKind): boolean {
  if (kind === 'prose') return OF_PROSE.test(character)
  return kind === 'name' && character === ' '
}

function nameOf(character: string): string {
  const number = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
  const name = character.isWellFormed() ? NAMES.get(character) : 'a lone surrogate'
  return `U+${number}${name === undefined ? ', which cannot be seen' : `, ${name}`}`
}

const escaped = (text: string): string =>
  text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
