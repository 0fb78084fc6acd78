/** Chance that can be repeated: the same seed makes the same choices in the same order. */
export interface Random {
  /** From 0 up to but not including 1. */
  next(): number
  between(low: number, high: number): number
  pick<T>(list: readonly T[]): T
  /** A new list, in another order. */
  shuffle<T>(list: readonly T[]): T[]
}

/** Mulberry32: small, and good enough to choose victims. */
export function createRandom(seed: number): Random {
  let state = seed | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const index = (length: number) => Math.floor(next() * length)
  return {
    next,
    between: (low, high) => low + next() * (high - low),
    pick(list) {
      if (list.length === 0) throw new Error('there is nothing to pick from')
      return list[index(list.length)] as (typeof list)[number]
    },
    shuffle(list) {
      const shuffled = [...list]
      for (let end = shuffled.length; end > 1; end--) {
        const [one] = shuffled.splice(index(end), 1)
        if (one !== undefined) shuffled.push(one)
      }
      return shuffled
    },
  }
}
