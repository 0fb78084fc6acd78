import type { Refusal } from '../problem.ts'

/**
 * The part of SQL/JSON path that a filter may use:
 *
 *     filter     = and { "||" and }
 *     and        = term { "&&" term }
 *     term       = comparison | [ "!" ] "(" filter ")"
 *     comparison = path operator literal | literal operator path
 *     path       = "$" { "." key | ".*" | "[" number "]" | "[*]" }
 *     key        = letters, digits and _, not beginning with a digit, or "any text"
 *     literal    = a JSON number, string, true, false or null
 *
 * Left out is what can take long on large data: `**`, filters inside a path (`?()`), regular
 * expressions, arithmetic and methods. What is left is linear in the data for each step that may
 * visit every element of an array, and so their number is bounded.
 */

/** Also the constraint of `endpoint.filter`. */
export const FILTER_LENGTH_MAX = 1_000
/** Each may visit every element of an array: with 250 KB some 10 ms. */
const COMPARISONS_MAX = 30
/** `[*]`, `[0]` and `.*` may each visit every element once more, for some 20 ms. */
const ARRAY_STEPS_MAX = 6
const STEPS_MAX = 10
const ARRAY_STEPS = 'steps like [*], [0] and .*'

const BLANKS = /[ \t\r\n]*/y
const OPERATOR = /==|!=|<>|<=|>=|<|>/y
const KEY = /[\p{L}_][\p{L}\p{N}_]*/uy
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\p{L}\p{N}_.])/uy
const WORD = /(?:true|false|null)(?![\p{L}\p{N}_])/uy
const INDEX = /\d{1,9}(?!\d)/y
/** What a message quotes of the place where the reader stopped. */
const FOUND = /[\p{L}\p{N}_]{1,20}|[\s\S]/uy

const LITERAL_EXPECTED = 'a literal (a number, "text", true, false or null)'
const PATH_EXPECTED = 'a path that begins with $'

/** The message says at which character, what was expected there, and what was found. */
export class FilterInvalid extends Error {
  override readonly name = 'FilterInvalid'
  readonly code = 'filter_invalid'

  get refusal(): Refusal {
    return { of: 'request_invalid', errors: [{ field: 'filter', message: this.message }] }
  }
}

/**
 * @throws FilterInvalid
 * @example checkFilter('$.amount > 100 && ($.currency == "EUR" || $.tags[*] == "vip")')
 */
export function checkFilter(text: string): void {
  const reader = new Reader(text)
  readFilter(reader)
  if (!reader.isAtEnd()) reader.fail('&&, || or the end')
}

function readFilter(reader: Reader): void {
  do readAnd(reader)
  while (reader.takes('||'))
}

function readAnd(reader: Reader): void {
  do readTerm(reader)
  while (reader.takes('&&'))
}

function readTerm(reader: Reader): void {
  const isNegated = reader.takes('!')
  if (reader.takes('(')) {
    readFilter(reader)
    if (!reader.takes(')')) reader.fail('&&, || or )')
  } else if (isNegated) reader.fail('( after !')
  else readComparison(reader)
}

function readComparison(reader: Reader): void {
  reader.count('comparisons', COMPARISONS_MAX, reader.next())
  const isPathFirst = readPath(reader)
  if (!isPathFirst && !readLiteral(reader)) reader.fail(`${PATH_EXPECTED}, or ${LITERAL_EXPECTED}`)
  if (!reader.matches(OPERATOR)) reader.fail('one of == != < <= > >=')
  if (isPathFirst && !readLiteral(reader)) reader.fail(LITERAL_EXPECTED)
  if (!isPathFirst && !readPath(reader)) reader.fail(PATH_EXPECTED)
}

function readLiteral(reader: Reader): boolean {
  return readString(reader) || reader.matches(NUMBER) || reader.matches(WORD)
}

function readString(reader: Reader): boolean {
  const from = reader.next()
  if (!reader.matches(STRING)) return false
  const text: string = JSON.parse(reader.since(from))
  if (text.includes('\0') || !text.isWellFormed()) {
    reader.fail('text without \\u0000 and without half a surrogate pair', from)
  }
  return true
}

function readPath(reader: Reader): boolean {
  if (!reader.takes('$')) return false
  for (let steps = 0; ; steps++) {
    const from = reader.next()
    if (!readStep(reader)) return true
    if (steps === STEPS_MAX) reader.refuse(`a path has at most ${STEPS_MAX} steps`, from)
  }
}

function readStep(reader: Reader): boolean {
  const from = reader.next()
  if (reader.takes('.')) {
    if (reader.takes('*')) reader.count(ARRAY_STEPS, ARRAY_STEPS_MAX, from)
    else if (!reader.matches(KEY) && !readString(reader)) reader.fail('a key, "a key" or *')
    return true
  }
  if (!reader.takes('[')) return false
  reader.count(ARRAY_STEPS, ARRAY_STEPS_MAX, from)
  if (!reader.takes('*') && !reader.matches(INDEX)) reader.fail('* or a number')
  if (!reader.takes(']')) reader.fail(']')
  return true
}

/** A place in the text that only moves on; blanks before what is read do not count. */
class Reader {
  readonly #text: string
  readonly #counts = new Map<string, number>()
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Where the next symbol begins. */
  next(): number {
    return this.#at + (this.#matchAt(BLANKS, this.#at)?.length ?? 0)
  }

  isAtEnd(): boolean {
    return this.next() === this.#text.length
  }

  since(from: number): string {
    return this.#text.slice(from, this.#at)
  }

  takes(symbol: string): boolean {
    return this.#text.startsWith(symbol, this.next()) && this.#moveTo(this.next() + symbol.length)
  }

  matches(pattern: RegExp): boolean {
    const found = this.#matchAt(pattern, this.next())
    return found !== undefined && this.#moveTo(this.next() + found.length)
  }

  count(what: string, max: number, at: number): void {
    const count = (this.#counts.get(what) ?? 0) + 1
    this.#counts.set(what, count)
    if (count > max) this.refuse(`a filter has at most ${max} ${what}`, at)
  }

  refuse(message: string, at: number): never {
    throw new FilterInvalid(`at character ${at + 1}: ${message}`)
  }

  fail(expected: string, at = this.next()): never {
    const found = this.#matchAt(FOUND, at)
    const end = found === undefined ? 'the end' : JSON.stringify(found)
    return this.refuse(`expected ${expected}, found ${end}`, at)
  }

  #matchAt(pattern: RegExp, from: number): string | undefined {
    pattern.lastIndex = from
    return pattern.exec(this.#text)?.[0]
  }

  #moveTo(at: number): true {
    this.#at = at
    return true
  }
}
