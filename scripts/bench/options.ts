import { parseArgs } from 'node:util'

/** An option with a number is one that takes a number, with a list of numbers such a list. */
export type OptionTable = Record<string, Option>

interface Option {
  default: number | string | readonly number[]
  help: string
  /** It is a whole number, and not less. */
  least?: number
  /** It is a list of these, comma separated. */
  among?: readonly string[]
}

export type OptionValues<Table extends OptionTable> = {
  [Name in keyof Table]: Table[Name]['default'] extends number
    ? number
    : Table[Name]['default'] extends string
      ? string
      : readonly number[]
}

/**
 * Reads `--name value` of the command line; `--help` prints the table and ends the process, and so
 * does a mistake, with exit code 2.
 */
export function readOptions<Table extends OptionTable>(
  table: Table,
  args = process.argv.slice(2),
): OptionValues<Table> {
  try {
    const given = parse(table, args)
    if (given['help']) exitWith(0, describe(table))
    const values = Object.entries(table).map(([name, option]) => [
      name,
      readValue(name, option, given[name] as string | undefined),
    ])
    return Object.fromEntries(values) as OptionValues<Table>
  } catch (error) {
    return exitWith(2, `${error instanceof Error ? error.message : error}\n\n${describe(table)}`)
  }
}

function parse(table: OptionTable, args: string[]) {
  const names = Object.keys(table).map((name) => [name, { type: 'string' as const }])
  const options = { ...Object.fromEntries(names), help: { type: 'boolean' as const } }
  return parseArgs({ args, options }).values as Record<string, string | boolean | undefined>
}

function readValue(name: string, option: Option, given: string | undefined) {
  if (given === undefined) return option.default
  if (typeof option.default === 'string') return readText(name, option, given)
  return typeof option.default === 'number'
    ? readNumber(name, option, given)
    : readNumbers(name, given)
}

function readText(name: string, { among }: Option, given: string): string {
  const unknown = among && given.split(',').filter((one) => !among.includes(one))
  if (unknown && unknown.length > 0)
    throw new Error(`--${name} has no ${unknown.join()}; there are ${among.join()}`)
  return given
}

function readNumber(name: string, { least }: Option, given: string): number {
  const value = given.trim() === '' ? Number.NaN : Number(given)
  if (least !== undefined && !(Number.isInteger(value) && value >= least))
    throw new Error(`--${name} takes a whole number from ${least} on`)
  if (!(value >= 0)) throw new Error(`--${name} takes a number from 0 on`)
  return value
}

function readNumbers(name: string, given: string): number[] {
  const numbers = given.split(',').map(Number)
  if (numbers.some((number) => !(number > 0)))
    throw new Error(`--${name} takes numbers above 0, like 1,2,4`)
  return numbers
}

function describe(table: OptionTable): string {
  const lines = Object.entries(table).map(([name, option]) => {
    const least = option.least === undefined ? '' : `at least ${option.least}; `
    return `  --${name.padEnd(14)} ${option.help} (${least}default: ${option.default || 'none'})`
  })
  return ['options:', ...lines].join('\n')
}

function exitWith(code: number, text: string): never {
  console.error(text)
  process.exit(code)
}
