/** Runs pieces of work side by side, so many at most, and can wait for all of them. */
export function createCrowd(max: number) {
  const running = new Set<Promise<void>>()
  let skipped = 0
  return {
    skipped: () => skipped,
    start(work: () => Promise<void>) {
      if (running.size >= max) {
        skipped += 1
        return
      }
      const one = work().finally(() => running.delete(one))
      running.add(one)
    },
    async idle() {
      await Promise.all(running)
    },
  }
}
