import { readFileSync } from 'node:fs'
import { createRequire, registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'

/**
 * Lets this process import `.tsx`: Node 24 strips types, but compiles no JSX.
 *
 * Called before anything imports the console, by `cli.ts` and, for tests, by scripts/jsx.ts. The
 * compiled program has no `.tsx` and no compiler, so there it does nothing.
 */
export function loadJsx(): void {
  if (!import.meta.filename.endsWith('.ts')) return
  const require = createRequire(import.meta.url)
  registerHooks({
    load(url, context, nextLoad) {
      if (!url.startsWith('file:') || !/\.tsx(?:\?|$)/.test(url)) return nextLoad(url, context)
      // Only now: most commands import no page.
      const { transformSync } = require('oxc-transform') as typeof import('oxc-transform')
      const file = fileURLToPath(url)
      const { code, errors } = transformSync(file, readFileSync(file, 'utf8'), {
        jsx: { runtime: 'automatic', importSource: 'hono/jsx' },
        typescript: { onlyRemoveTypeImports: true },
      })
      if (errors[0]) throw new SyntaxError(`${file}: ${errors[0].message}`)
      return { format: 'module', source: code, shortCircuit: true }
    },
  })
}
