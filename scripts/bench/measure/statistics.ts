/** The value that the given share of the sorted values does not exceed; null when there are none. */
export function quantile(sorted: ArrayLike<number>, share: number): number | null {
  if (sorted.length === 0) return null
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

export interface Distribution {
  p50: number | null
  p95: number | null
  p99: number | null
  max: number | null
}

/** To 0.01. */
export function distributionOf(values: Float64Array): Distribution {
  const sorted = values.toSorted()
  const at = (share: number) => roundOrNull(quantile(sorted, share))
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: roundOrNull(sorted.at(-1) ?? null) }
}

export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}

function roundOrNull(value: number | null): number | null {
  return value === null ? null : round(value)
}
