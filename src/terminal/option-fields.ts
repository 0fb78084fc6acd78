import { type Command, InvalidArgumentError, Option } from 'commander'
import { choicesOf, emptyOf, type Fields, givenOf, type Kind, kindOf } from '../fields.ts'

/** What an operation of the API takes, and the option that gives it. */
export interface Field {
  /** As the API has it; also the name of the option, in small letters: `--rate-per-second`. */
  name: string
  /** Where the option is called otherwise, without `--`. */
  option?: string | undefined
  /** What stands for the value in the help; a field without is a switch. */
  value?: string | undefined
  /** With the unit, and what holds when it is left out. */
  about: string
  /** @throws InvalidArgumentError that goes on from “argument 'x' is invalid.” */
  read?: ((text: string) => unknown) | undefined
  isRequired?: boolean | undefined
  /** Where it is an object: the member that the option gives. */
  member?: string | undefined
  /** Given several times, each is a `[name, value]` of an object. */
  isObject?: boolean | undefined
  choices?: readonly string[] | undefined
  /** What a switch stands for, where that is not true. */
  on?: unknown
  /** What `--no-…` stands for, where something can be taken away. */
  off?: { about: string; value: unknown } | undefined
}

/**
 * The options of the fields that may be given.
 *
 * @param isChange whether something is there that can be taken away
 */
export function optionsOf(fields: Fields, { isChange = false } = {}): Field[] {
  return Object.entries(fields).flatMap(([name, { input, option, member }]) => {
    if (!input || !option) return []
    const { name: called, value, about, isRequired, isChoice, on, off } = option
    const kind = kindOf(givenOf({ input, ...(member && { member }) }))
    return {
      ...{ name, option: called, value, about, isRequired, on, member },
      read: READERS[kind]?.(option.separator ?? '='),
      isObject: kind === 'pairs' || kind === 'settings',
      choices: isChoice ? choicesOf(input) : undefined,
      off: isChange && off !== undefined ? { about: off, value: emptyOf(input) } : undefined,
    }
  })
}

/** An option that knows which field it gives. */
class FieldOption extends Option {
  readonly field: Field
  constructor(flags: string, about: string, field: Field) {
    super(flags, about)
    this.field = field
  }
}

export const optionOf = ({ name, option }: Field): string =>
  `--${option ?? name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** Adds an option for each of the fields, and `--no-…` for each that can be taken away. */
export function withFields(command: Command, fields: readonly Field[]): Command {
  for (const field of fields) {
    const flags = field.value === undefined ? optionOf(field) : `${optionOf(field)} ${field.value}`
    const option = new FieldOption(flags, field.about, field)
    if (field.isRequired) option.makeOptionMandatory()
    if (field.choices) option.choices([...field.choices])
    if (field.isObject) option.argParser((text, before) => collected(field, text, before))
    else if (field.read) option.argParser(field.read)
    command.addOption(option)
    if (field.off === undefined) continue
    const opposite = optionOf(field).replace('--', '--no-')
    command.addOption(new FieldOption(opposite, field.off.about, field))
  }
  return command
}

/** What a command was given of its fields, as the API takes it; what was not given is not there. */
export function valuesOf(command: Command): Record<string, unknown> {
  const given = command.options.flatMap((option) => {
    if (!(option instanceof FieldOption) || option.negate) return []
    const value = command.getOptionValue(option.attributeName())
    return value === undefined ? [] : [[option.field.name, takenFrom(option.field, value)]]
  })
  return Object.fromEntries(given)
}

/** The fields of a command: what its options give. */
export const fieldsOf = (command: Command): Field[] =>
  command.options.flatMap((option) =>
    option instanceof FieldOption && !option.negate ? [option.field] : [],
  )

/** How people gave the field of the API: by an option, or as an argument. */
export function givenAs(command: Command, name: string): string | undefined {
  const field = fieldsOf(command).find((one) =>
    [one.name, `${one.name}.${one.member}`].includes(name),
  )
  if (field) return optionOf(field)
  const argument = command.registeredArguments.find((one) => one.name() === name)
  return argument && `<${name}>`
}

/** @throws InvalidArgumentError for a name that was given before: the first value would be lost */
function collected(field: Field, text: string, before: unknown): unknown {
  const given = (before ?? []) as [name: string, value: unknown][]
  const pair = field.read?.(text) as [name: string, value: unknown]
  const isRepeated = given.some(([name]) => name === pair[0])
  if (isRepeated) throw new InvalidArgumentError(`${pair[0]} is given twice.`)
  return [...given, pair]
}

function takenFrom(field: Field, given: unknown): unknown {
  if (given === false) return field.off?.value
  if (field.value === undefined) return field.on ?? true
  if (field.member !== undefined) return { [field.member]: given }
  return field.isObject ? Object.fromEntries(given as [string, unknown][]) : given
}

export function readNumber(text: string): number {
  const number = Number(text)
  if (text.trim() === '' || Number.isNaN(number))
    throw new InvalidArgumentError('It is not a number.')
  return number
}

/** Comma separated; blanks around do not count. */
export const readList = (text: string): string[] => text.split(',').map((part) => part.trim())

/** `none` is the empty list. */
const readNumbers = (text: string): number[] =>
  text === 'none' ? [] : readList(text).map(readNumber)

/** `name=value` or `Name: value`. */
const readPair =
  (separator: '=' | ':') =>
  (text: string): [name: string, value: string] => {
    const at = text.indexOf(separator)
    if (at < 1) throw new InvalidArgumentError(`It is not of the form name${separator}value.`)
    const [name, value] = [text.slice(0, at), text.slice(at + 1)]
    return separator === ':' ? [name.trim(), value.trim()] : [name, value]
  }

const readSetting = (text: string): [name: string, value: number] => {
  const [name, value] = readPair('=')(text)
  return [name, readNumber(value)]
}

/** How values of a kind are read; others are taken as they are. */
const READERS: Partial<Record<Kind, (separator: '=' | ':') => (text: string) => unknown>> = {
  number: () => readNumber,
  texts: () => readList,
  numbers: () => readNumbers,
  pairs: readPair,
  settings: () => readSetting,
}
