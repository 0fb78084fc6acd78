/**
 * Lets everybody who asks within a time share one answer, so that many open screens cost what one does.
 * A failure is shared with those who wait for it, and not kept.
 */
export function cached<T>(freshMs: number, read: () => Promise<T>, now = Date.now): Cached<T> {
  let last: { answer: Promise<T>; until: number } | undefined
  const answered = () => {
    if (last && last.until > now()) return last.answer
    const entry = { answer: read(), until: now() + freshMs }
    last = entry
    entry.answer.catch(() => {
      if (last === entry) last = undefined
    })
    return entry.answer
  }
  const forget = () => {
    last = undefined
  }
  return Object.assign(answered, { forget })
}

export interface Cached<T> {
  (): Promise<T>
  /** The next question is asked again. */
  forget(): void
}
