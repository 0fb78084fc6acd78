import { z } from '@hono/zod-openapi'

/**
 * One definition per field: a noun's `x.fields.ts` says everything about its fields in one table, and what the API
 * takes and shows, columns, forms, pages and the command line derive from it. What a frame does not need is left out.
 */
export interface Field<Row = never> {
  /** Where it is stored; left out where it is made of several columns. */
  column?: keyof Row & string
  /** What may be set, with its bounds; left out: read-only. */
  input?: z.ZodType
  /** What the API shows; left out: it shows nothing. */
  output?: z.ZodType
  /** What the document has in its examples; left out: made of the schema. */
  example?: unknown
  /** What is shown of a row, where that is not the column as it is. */
  show?: (row: Row) => unknown
  /** What is stored of an input, where that is not the input as it is. */
  store?: (value: never) => unknown
  /** Where the input is an object of one member: people give that one alone, as an option and in a form. */
  member?: string
  option?: OptionText
  form?: FormText
  fact?: FactText
}

/** How the command line gives it. */
interface OptionText {
  /** Where the option is not called as the field: `--header` for `headers`. */
  name?: string
  /** What stands for the value in the help; left out: a switch. */
  value?: string
  /** With the unit, and what holds when it is left out. */
  about: string
  isRequired?: boolean
  /** The help names the values of the enumeration, and others are refused before anything is sent. */
  isChoice?: boolean
  /** Between name and value of an object. */
  separator?: '=' | ':'
  /** What a switch stands for, where that is not true. */
  on?: unknown
  /** What `--no-…` means; it gives the empty value. */
  off?: string
}

/** How a form asks for it. */
export interface FormText {
  label: string
  /** `code` between backticks. */
  hint?: string
  placeholder?: string
  rows?: number
  isCode?: boolean
  required?: boolean
  /** Behind the fold. */
  isRare?: boolean
  /** What an empty field means, where that is not the empty value; undefined = the field is left out. */
  empty?: unknown
  /** What a person chooses from: one, or several where the field is a list. */
  choices?: readonly (readonly [value: string, label: string])[]
  /** A time, typed in UTC. */
  isTime?: boolean
  /** JSON, typed as text. */
  isJson?: boolean
  /** Of an object of numbers: each is a field, and the object is null while all are empty. */
  parts?: Readonly<Record<string, Pick<FormText, 'label' | 'hint' | 'placeholder'>>>
}

/** How a page shows it. */
interface FactText {
  label: string
  /** In its place where it is empty. */
  none?: string
  isCode?: boolean
  words?: (value: never) => string
}

export type Fields<Row = never> = Readonly<Record<string, Field<Row>>>

type Having<F, Part extends 'input' | 'output'> = {
  [Name in keyof F as F[Name] extends Record<Part, z.ZodType>
    ? Name
    : never]: F[Name] extends Record<Part, infer Schema> ? Schema : never
}

/** Name to schema of what may be set. */
export const inputsOf = <F extends object>(fields: F) => having(fields, 'input')

/** Name to schema of what is shown. */
export const outputsOf = <F extends object>(fields: F) => having(fields, 'output')

function having<F extends object, Part extends 'input' | 'output'>(fields: F, part: Part) {
  const entries = Object.entries(fields as Fields).flatMap(([name, field]) => {
    const schema = field[part]
    if (!schema) return []
    return [[name, 'example' in field ? schema.openapi({ example: field.example }) : schema]]
  })
  return Object.fromEntries(entries) as Having<F, Part>
}

export type Shown<F> = {
  [Name in keyof Having<F, 'output'>]: z.output<Extract<Having<F, 'output'>[Name], z.ZodType>>
}

/** A row as the API shows it. */
export function shownOf<F extends object, Row extends object>(fields: F, row: Row): Shown<F> {
  const entries = Object.entries(fields as Fields<Row>).flatMap(([name, field]) =>
    field.output ? [[name, columnShown(field, row)]] : [],
  )
  return Object.fromEntries(entries) as Shown<F>
}

function columnShown<Row>({ show, column }: Field<Row>, row: Row): unknown {
  const value = show ? show(row) : column && row[column]
  return value instanceof Date ? value.toISOString() : value
}

type Columns<F> = {
  [Name in keyof F as F[Name] extends { column: infer Column extends string; input: z.ZodType }
    ? Column
    : never]?:
    | (F[Name] extends { store: (value: never) => infer Stored }
        ? Stored
        : F[Name] extends { input: infer Input extends z.ZodType }
          ? z.output<Input>
          : never)
    | undefined
}

/** The columns of what is given; those of what is not are not there. */
export function columnsOf<F extends object>(fields: F, values: object): Columns<F> {
  const given = values as Record<string, never>
  const entries = Object.entries(fields as Fields<Record<string, unknown>>).flatMap(
    ([name, { column, store = (value: unknown) => value }]) =>
      column === undefined || given[name] === undefined ? [] : [[column, store(given[name])]],
  )
  return Object.fromEntries(entries) as Columns<F>
}

/** How the API shows an id. */
export const shownId = z.uuid().openapi({ description: 'UUIDv7.' })
/** How the API shows a time. */
export const shownTime = z.iso.datetime().openapi({ description: 'ISO 8601, in UTC.' })

/** What values of a field look like, which is how people write them. */
export type Kind = 'text' | 'number' | 'switch' | 'texts' | 'numbers' | 'pairs' | 'settings'

/** @example kindOf(z.array(z.int()).nullable()) // 'numbers' */
export function kindOf(schema: z.ZodType): Kind {
  const bare = bareOf(schema)
  if (bare instanceof z.ZodNumber) return 'number'
  if (bare instanceof z.ZodBoolean) return 'switch'
  if (bare instanceof z.ZodRecord) return 'pairs'
  if (bare instanceof z.ZodObject) return 'settings'
  if (!(bare instanceof z.ZodArray)) return 'text'
  return kindOf(bare.element as z.ZodType) === 'number' ? 'numbers' : 'texts'
}

/** What people give of a field: its input, or the one member of that. */
export function givenOf({ input, member }: { input: z.ZodType; member?: string }): z.ZodType {
  if (member === undefined) return input
  const object = bareOf(input)
  const only = object instanceof z.ZodObject ? object.shape[member] : undefined
  if (!(only instanceof z.ZodType)) throw new Error(`the field has no member ${member}`)
  return only
}

/** Values of an enumeration. */
export function choicesOf(schema: z.ZodType): readonly string[] {
  const bare = bareOf(schema)
  if (bare instanceof z.ZodEnum) return bare.options.map(String)
  throw new Error('the field is no enumeration')
}

/** What stands for nothing: null where the field takes it. */
export function emptyOf(schema: z.ZodType): unknown {
  return schema.safeParse(null).success ? null : EMPTY[kindOf(schema)]
}

const EMPTY = {
  ...{ text: '', number: null, switch: false, texts: [], numbers: [], pairs: {} },
  settings: null,
} as const

/** Without what makes it optional, and before what it is made of is changed. */
function bareOf(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodPipe) return bareOf(schema.in as z.ZodType)
  const isWrapped =
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault
  return isWrapped ? bareOf(schema.unwrap() as z.ZodType) : schema
}
