/**
 * Lets everybody who asks within a time share one answer, so that many open screens cost what one does.
 * A failure is shared with those who wait for it, and not kept.
 */
export function cached<T>(
  freshMs: number,
  read: () => Promise<T>,
  now = Date.now,
): () => Promise<T> {
  let last: { answer: Promise<T>; until: number } | undefined
  return () => {
    if (last && last.until > now()) return last.answer
    const entry = { answer: read(), until: now() + freshMs }
    last = entry
    entry.answer.catch(() => {
      if (last === entry) last = undefined
    })
    return entry.answer
  }
}
