import { registerHooks } from 'node:module'
import { relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
/** As a file has that runs alone: `timeout` in package.json. */
const FILE_MS_MAX = 600_000

/** By the URL of the file. */
const tests = new Map<string, Test>()

/**
 * Runs test files one after the other in this process, each as a test with its name. What a file gets when it imports
 * `tap` is that test, so it ends, and tears down, before the next file begins.
 */
export async function runTogether(files: readonly string[]): Promise<void> {
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const { parentURL = '' } = context
      if (specifier !== 'tap' || !tests.has(parentURL)) return nextResolve(specifier, context)
      const url = new URL('./tap-of.ts', import.meta.url)
      url.searchParams.set('file', parentURL)
      return { url: url.href, format: 'module-typescript', shortCircuit: true }
    },
  })
  t.setTimeout(files.length * FILE_MS_MAX)
  for (const file of files) {
    await t.test(relative(ROOT, file), { timeout: FILE_MS_MAX }, async (t) => {
      const { href } = pathToFileURL(file)
      tests.set(href, t)
      await import(href)
    })
  }
}

/** @throws when the file is not run by `runTogether` */
export function testOf(file: string): Test {
  const test = tests.get(file)
  if (!test) throw new Error(`${file} does not run together with others`)
  return test
}
