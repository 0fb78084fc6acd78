import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Refusal } from '../problem.ts'
import { joinPath, mistakesInSchema, pathOfPointer, type Violation } from './schema-rules.ts'
import { createTimeLimit, TookTooLong } from './time-limit.ts'

/** A schema of the largest size takes some 100 ms; compiling holds up every request of the process. */
const COMPILE_MS_MAX = 1_000
/** Data of the largest size takes some 10 ms. */
const VALIDATE_MS_MAX = 100
/** Anyone who has more mistakes than this has one in their program, and knows it by then. */
const VIOLATIONS_MAX = 100
/** An enumeration of all countries would bury what the message says. */
const VALUES_LENGTH_MAX = 200

/** Where compiled code begins to collect the names that `unevaluatedProperties` is not about. */
const COLLECTED_NAMES = /"(?:[^"\\]|\\.)*"|(?<=\bprops\d+ ?= ?(?:props\d+ ?\|\| ?)?)\{\}/g

/** A schema that cannot be used, with every mistake that was found in it. */
export class SchemaInvalid extends Error {
  override readonly name = 'SchemaInvalid'
  readonly code = 'schema_invalid'
  readonly violations: readonly Violation[]
  constructor(violations: readonly Violation[], options?: ErrorOptions) {
    super(violations.map(({ path, message }) => `${path} ${message}`.trim()).join('; '), options)
    this.violations = violations
  }

  get refusal(): Refusal {
    const errors = this.violations.map(({ path, message }) => ({
      field: path === '' ? 'schema' : `schema.${path}`,
      message,
    }))
    return { of: 'request_invalid', errors }
  }
}

/**
 * Every mistake in the data. Takes a bounded time, and says so when that was not enough.
 *
 * @param msMax less time, for who has another way then
 * @throws TookTooLong if `msMax` was given and was not enough
 */
export type Validate = (data: unknown, msMax?: number) => Violation[]

export interface SchemaCompiler {
  /** @throws SchemaInvalid */
  check(schema: unknown): void
  /** @throws SchemaInvalid for a schema that `check` would refuse */
  compile(schema: unknown): Validate
}

/** JSON Schema 2020-12. Regular expressions are those of JavaScript, as the standard says; formats are checked. */
export const createSchemaCompiler = (): SchemaCompiler => new AjvCompiler()

class AjvCompiler implements SchemaCompiler {
  readonly #within = createTimeLimit()
  #ajv = createAjv()

  check(schema: unknown): void {
    assertSchema(schema)
    this.#compile(withoutId(schema), true)
  }

  compile(schema: unknown): Validate {
    assertSchema(schema)
    const validate = this.#compile(withoutId(schema), false)
    return (data, msMax) => this.#violations(validate, data, msMax)
  }

  #compile(schema: object | boolean, validateSchema: boolean): ValidateFunction {
    let runs = 0
    try {
      return this.#within(COMPILE_MS_MAX, () => {
        runs += 1
        // The run before was ended half-way, and ajv would take what it has made of the schema for the whole.
        if (runs > 1) this.#ajv = createAjv()
        return this.#compileOnce(schema, validateSchema)
      })
    } catch (cause) {
      // It may have stopped half-way.
      if (cause instanceof TookTooLong) this.#ajv = createAjv()
      if (cause instanceof SchemaInvalid) throw cause
      throw new SchemaInvalid([{ path: '', message: String((cause as Error).message) }], { cause })
    } finally {
      // Otherwise it would stay in memory. `true` and `false` do not.
      if (typeof schema === 'object') this.#ajv.removeSchema(schema)
    }
  }

  #compileOnce(schema: object | boolean, validateSchema: boolean): ValidateFunction {
    if (validateSchema && !this.#ajv.validateSchema(schema)) {
      throw new SchemaInvalid(toViolations(this.#ajv.errors))
    }
    return this.#ajv.compile(schema)
  }

  #violations(validate: ValidateFunction, data: unknown, msMax?: number): Violation[] {
    try {
      return this.#within(msMax ?? VALIDATE_MS_MAX, () =>
        validate(data) ? [] : toViolations(validate.errors),
      )
    } catch (error) {
      if (msMax !== undefined && error instanceof TookTooLong) throw error
      const isEndless = error instanceof TookTooLong || error instanceof RangeError
      if (!isEndless) throw error
      const message = `takes longer than ${VALIDATE_MS_MAX} ms to validate, or refers to itself without end`
      return [{ path: '', message }]
    }
  }
}

/** @throws SchemaInvalid */
function assertSchema(schema: unknown): asserts schema is object | boolean {
  const mistakes = mistakesInSchema(schema)
  if (mistakes.length > 0) throw new SchemaInvalid(mistakes)
}

function createAjv(): Ajv2020 {
  const ajv = new Ajv2020({
    allErrors: true,
    // What the standard does not know is to be ignored, says the standard.
    strict: false,
    logger: false,
    validateSchema: false,
    // Otherwise `{}` has a `constructor` and a `toString`; so has what the compiled code collects names in.
    ownProperties: true,
    code: { process: withoutInheritedNames },
  })
  addFormats.default(ajv)
  return ajv
}

/** Leaves texts of the schema, which stand in the code as literals, as they are. */
function withoutInheritedNames(code: string): string {
  return code.replace(COLLECTED_NAMES, (found) => (found === '{}' ? 'Object.create(null)' : found))
}

/** References are local, and two schemas may have the same name. */
function withoutId(schema: unknown): object | boolean {
  if (typeof schema !== 'object' || schema === null) return schema as boolean
  const { $id, ...rest } = schema as Record<string, unknown>
  return rest
}

function toViolations(errors: ErrorObject[] | null | undefined): Violation[] {
  return (errors ?? []).slice(0, VIOLATIONS_MAX).map(toViolation)
}

function toViolation(error: ErrorObject): Violation {
  const { instancePath, keyword, params, message = 'is invalid' } = error
  const path = pathOfPointer(instancePath)
  switch (keyword) {
    case 'required':
      return { path: joinPath(path, params['missingProperty']), message: 'is required' }
    case 'additionalProperties':
      return { path: joinPath(path, params['additionalProperty']), message: 'is not known here' }
    case 'unevaluatedProperties':
      return { path: joinPath(path, params['unevaluatedProperty']), message: 'is not known here' }
    case 'enum':
      return { path, message: `is none of ${shorten(params['allowedValues'])}` }
    case 'const':
      return { path, message: `is not ${shorten(params['allowedValue'])}` }
    default:
      return { path, message }
  }
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value)
  return text.length > VALUES_LENGTH_MAX ? `${text.slice(0, VALUES_LENGTH_MAX)}…` : text
}
