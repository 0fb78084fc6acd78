/**
 * Stands for the package `async-hook-domain` where tap imports it. That one finds out which test an uncaught error
 * belongs to by being told of every promise that is made and of its end, which made an `await` cost twenty times
 * as much. Tests of a process run one after another: it is the innermost that is under way.
 */
export class Domain {
  constructor() {
    if (domains.size === 0) process.on('uncaughtException', tell)
    domains.add(this)
  }

  destroy(): void {
    domains.delete(this)
    if (domains.size === 0) process.off('uncaughtException', tell)
  }
}

/** Of tests that have not ended. */
const domains = new Set<Domain>()

interface UnderWay {
  activeSubtests: ReadonlySet<UnderWay>
  /** Once it has ended. */
  results?: unknown
  threw(error: unknown): void
}

/** Rejections that nobody handles come here too. */
async function tell(error: unknown, tapCaught: string): Promise<void> {
  const { t } = (await import('tap')) as unknown as { t: UnderWay }
  if (t.results) {
    console.error(error)
    process.exit(1)
  }
  innermost(t).threw(Object.assign(error instanceof Error ? error : { error }, { tapCaught }))
}

function innermost(test: UnderWay): UnderWay {
  const [subtest] = test.activeSubtests
  return subtest ? innermost(subtest) : test
}
