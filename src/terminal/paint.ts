import { styleText } from 'node:util'

/** Colours a cell of a column that says how something fares; everything else stays as it is. */
export type Paint = (column: string, value: unknown, text: string) => string

export const plain: Paint = (_column, _value, text) => text

const COLOURS: Record<string, 'green' | 'red' | 'yellow'> = {
  delivered: 'green',
  done: 'green',
  active: 'green',
  live: 'green',
  failed: 'red',
  rejected: 'red',
  unreachable: 'red',
  blocked: 'red',
  abandoned: 'red',
  disabled: 'red',
  reaped: 'red',
  silent: 'red',
  held: 'yellow',
  paused: 'yellow',
  draining: 'yellow',
  interrupted: 'yellow',
  stale: 'yellow',
}
const COLUMNS = new Set(['state', 'outcome'])

/** Colours on a terminal that has them and was not told otherwise (NO_COLOR). */
export function paintFor({ hasColours }: { hasColours: boolean }): Paint {
  if (!hasColours) return plain
  return (column, value, text) => {
    const colour = COLUMNS.has(column) ? COLOURS[String(value)] : undefined
    // The caller has looked whether there are colours.
    return colour ? styleText(colour, text, { validateStream: false }) : text
  }
}
