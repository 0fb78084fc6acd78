import t from 'tap'
import { z } from 'zod'
import './field-messages.ts'

/** Each kind of issue that zod has, and for each bound both ways it can be meant. */
const KINDS: Record<string, [schema: z.ZodType, value: unknown, message: string][]> = {
  invalid_type: [
    [z.string(), undefined, 'is required'],
    [z.string(), 1, 'is not a string'],
    [z.string(), null, 'is not a string'],
    [z.number(), '1', 'is not a number'],
    [z.int(), 1.5, 'is not a whole number'],
    [z.boolean(), 'yes', 'is not true or false'],
    [z.array(z.string()), {}, 'is not a list'],
    [z.object({}), [], 'is not an object'],
    [z.record(z.string(), z.string()), 'a', 'is not an object'],
    [z.null(), 1, 'is not null'],
    [z.never(), 1, 'is not allowed here'],
    [z.bigint(), 1, 'is not of the type bigint'],
  ],
  invalid_value: [
    [z.enum(['a', 'b']), undefined, 'is required'],
    [z.enum(['a', 'b']), 'c', 'is not one of "a", "b"'],
    [z.literal('a'), 'b', 'is not "a"'],
    [z.literal([1, null]), 2, 'is not one of 1, null'],
  ],
  too_small: [
    [z.string().min(1), '', 'is empty'],
    [z.string().min(3), 'ab', 'has fewer than 3 characters'],
    [z.string().length(3), 'ab', 'does not have exactly 3 characters'],
    [z.array(z.int()).min(1), [], 'is empty'],
    [z.array(z.int()).min(2), [1], 'has fewer than 2 items'],
    [z.number().min(1), 0, 'is less than 1'],
    [z.number().gt(0), 0, 'is not more than 0'],
    [z.int(), -(2 ** 53), `is less than ${Number.MIN_SAFE_INTEGER}`],
  ],
  too_big: [
    [z.string().max(2), 'abc', 'has more than 2 characters'],
    [z.string().length(1), 'ab', 'does not have exactly 1 characters'],
    [z.array(z.int()).max(0), [1], 'has more than 0 items'],
    [z.number().max(1), 2, 'is more than 1'],
    [z.number().lt(1), 1, 'is not less than 1'],
    [z.int(), 2 ** 53, `is more than ${Number.MAX_SAFE_INTEGER}`],
  ],
  invalid_format: [
    [z.uuid(), 'a', 'is not a UUID'],
    [z.guid(), 'a', 'is not a UUID'],
    [z.url(), 'a', 'is not a URL like https://app.example.com'],
    [z.iso.datetime(), 'today', 'is not a time like 2026-01-31T12:00:00Z'],
    [z.string().regex(/^a$/), 'b', 'does not match /^a$/'],
    [z.string().startsWith('a'), 'b', 'does not start with "a"'],
    [z.string().endsWith('a'), 'b', 'does not end with "a"'],
    [z.string().includes('a'), 'b', 'does not contain "a"'],
    [z.email(), 'a', 'is not in the format email'],
  ],
  not_multiple_of: [[z.number().multipleOf(5), 7, 'is not a multiple of 5']],
  unrecognized_keys: [
    [z.strictObject({}), { a: 1, b: 2 }, 'has members that are not known here: "a", "b"'],
  ],
  invalid_union: [
    [z.union([z.string(), z.null()]), undefined, 'is required'],
    [z.union([z.string(), z.null()]), 1, 'is not a string, and is not null'],
    [z.union([z.string(), z.array(z.string())]), [1], 'has none of the forms that are allowed'],
    [
      z.discriminatedUnion('a', [z.object({ a: z.literal(1) })]),
      { a: 2 },
      'has none of the forms that are allowed',
    ],
  ],
  invalid_key: [
    [
      z.record(z.string().max(1), z.int()),
      { ab: 1 },
      'has a member with a name that is not allowed',
    ],
  ],
  custom: [
    [z.string().refine(() => false), 'a', 'is not valid'],
    [z.string().refine(() => false, 'is not mine'), 'a', 'is not mine'],
  ],
}

t.test('what a schema refuses is said in words that follow the name of the field', async (t) => {
  for (const [code, cases] of Object.entries(KINDS)) {
    for (const [schema, value, message] of cases) {
      const { error } = schema.safeParse(value)
      t.match(error?.issues, [{ code, message }], `${code}: ${message}`)
      t.equal(error?.issues.length, 1)
    }
  }
})

t.test('a schema can say it in words that fit better', async (t) => {
  const { error } = z.string().max(1, 'is too long for a name').safeParse('ab')
  t.match(error?.issues, [{ message: 'is too long for a name' }])
})
