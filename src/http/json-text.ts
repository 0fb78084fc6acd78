const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
/** Blank, tab, line feed, carriage return. */
const BLANKS = new Set([0x20, 0x09, 0x0a, 0x0d])

/**
 * Whether arrays and objects are nested deeper than `levels`. Takes any bytes, JSON or not, in one
 * pass and constant memory, so it can come before a parser that recurses.
 */
export function isDeeperThan(json: Buffer, levels: number): boolean {
  // Each level needs two bytes.
  if (json.length < 2 * levels) return false
  let depth = 0
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === QUOTE) at = endOfString(json, at)
    else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) depth += 1
    else if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1
    if (depth > levels) return true
  }
  return false
}

/**
 * The value of a member as written, blanks around it included; the last one when there are several of
 * the name, null when there is none.
 *
 * @param json an object that `JSON.parse` has accepted
 */
export function memberOf(json: Buffer, name: string): Buffer | null {
  let found: Buffer | null = null
  let depth = 0
  let key: string | undefined
  let stringFrom = 0
  let stringTo = 0
  let valueFrom = 0
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    if (byte === QUOTE) {
      stringFrom = at
      at = endOfString(json, at)
      stringTo = at + 1
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) depth += 1
    else if (byte === COLON && depth === 1) {
      key = JSON.parse(json.toString('utf8', stringFrom, stringTo))
      valueFrom = at + 1
    } else if ((byte === COMMA || byte === CLOSE_OBJECT) && depth === 1) {
      if (key === name) found = json.subarray(valueFrom, at)
    }
    if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1
  }
  return found
}

/**
 * The elements of an array member as written; those of the last one when there are several of the name.
 *
 * @param json an object that `JSON.parse` has accepted, whose member is an array
 */
export function elementsOf(json: Buffer, name: string): Buffer[] {
  let elements: Buffer[] = []
  let depth = 0
  let key: string | undefined
  let string = [0, 0] as [from: number, to: number]
  let from = 0
  for (let at = 0; at < json.length; at++) {
    const byte = json[at]
    const isClosing = byte === CLOSE_ARRAY || byte === CLOSE_OBJECT
    if (byte === QUOTE) {
      const end = endOfString(json, at)
      if (depth === 1) string = [at, end + 1]
      at = end
    } else if (byte === COLON && depth === 1) {
      key = JSON.parse(json.toString('utf8', ...string))
      if (key === name) elements = []
    } else if (byte === OPEN_ARRAY || byte === OPEN_OBJECT) {
      depth += 1
      if (depth === 2) from = at + 1
    } else if (depth === 2 && key === name && (byte === COMMA || isClosing)) {
      const element = json.subarray(from, at)
      if (!isBlank(element)) elements.push(element)
      from = at + 1
    }
    if (isClosing) depth -= 1
  }
  return elements
}

const isBlank = (json: Buffer): boolean => json.every((byte) => BLANKS.has(byte))

/** Where the string that begins at `from` has its closing quote. */
function endOfString(json: Buffer, from: number): number {
  let at = from + 1
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1
  return at
}
