/** From when something was done to the system until it was whole again; milliseconds since 1970. */
export interface Span {
  at: number
  until: number
}

/** The longest time within the span in which nothing succeeded, in seconds. Pure. */
export function secondsWithout(times: readonly number[], { at, until }: Span): number {
  const within = times.filter((time) => time > at && time < until).toSorted((a, b) => a - b)
  const longest = [...within, until].reduce(
    (max, time, i) => Math.max(max, time - (within[i - 1] ?? at)),
    0,
  )
  return Math.round(longest / 100) / 10
}
