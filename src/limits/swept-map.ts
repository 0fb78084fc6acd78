/** Below this many entries nothing is worth looking for. */
const SIZE_MIN = 10_000

/**
 * A map whose stale entries go by themselves: whenever it has grown to twice what was left by the last
 * sweep, it is swept. So it holds at most twice what is in use, and an insertion costs the same on average
 * however many there are.
 */
export class SweptMap<Value> extends Map<string, Value> {
  readonly #isStale: (value: Value) => boolean
  readonly #sizeMin: number
  #sweepAt: number

  constructor(isStale: (value: Value) => boolean, sizeMin = SIZE_MIN) {
    super()
    this.#isStale = isStale
    this.#sizeMin = sizeMin
    this.#sweepAt = sizeMin
  }

  override set(key: string, value: Value): this {
    if (this.size >= this.#sweepAt) this.#sweep()
    return super.set(key, value)
  }

  #sweep(): void {
    for (const [key, value] of this) if (this.#isStale(value)) this.delete(key)
    this.#sweepAt = Math.max(this.size * 2, this.#sizeMin)
  }
}
