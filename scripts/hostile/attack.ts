import type { Field } from './field.ts'

export type Verdict = 'held' | 'BROKEN' | 'not tried'

/** One try: what was tried, whether the service held, and what it answered. */
export interface Finding {
  tried: string
  verdict: Verdict
  answer: string
}

/** Tries of one kind. A fault in it, such as a request that is never answered, counts as broken. */
export interface Attack {
  name: string
  /** For `--help` and docs. */
  about: string
  /** Whether it mostly waits, and so is carried out next to the others. */
  waits?: true
  run(field: Field): AsyncIterable<Finding>
}

export const finding = (tried: string, held: boolean, answer: string): Finding => ({
  ...{ tried, verdict: held ? 'held' : 'BROKEN' },
  answer,
})

export const notTried = (tried: string, why: string): Finding => ({
  ...{ tried, verdict: 'not tried', answer: why },
})

/** `404 ×9, 403`: how often each was answered. */
export function counted(answers: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1)
  return [...counts].map(([text, n]) => (n === 1 ? text : `${text} ×${n}`)).join(', ')
}
