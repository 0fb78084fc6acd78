const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

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
 * How many bytes the value of a member takes as written, blanks around it included; the last one when there are
 * several of the name, 0 when there is none.
 *
 * @param json an object that `JSON.parse` has accepted
 */
export function memberBytes(json: Buffer, name: string): number {
  let found = 0
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
      if (key === name) found = at - valueFrom
    }
    if (byte === CLOSE_ARRAY || byte === CLOSE_OBJECT) depth -= 1
  }
  return found
}

/** Where the string that begins at `from` has its closing quote. */
function endOfString(json: Buffer, from: number): number {
  let at = from + 1
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1
  return at
}
