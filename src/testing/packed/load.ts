/**
 * Lets a process of the tests load packages of many modules, and the program, as one file each, where
 * `packForTests` has made these: `node --import ./src/testing/packed/load.ts`.
 *
 * Finding, reading and linking a module takes a quarter of a millisecond, and four packages have 400 of them:
 * a third of what a process took to start, and a run of all tests starts some five hundred. The program as a whole
 * starts in a third of the processor's time.
 */
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { INDEX, type PackedIndex } from './packed-index.ts'

const urls = readUrls()

registerHooks({
  resolve(specifier, context, nextResolve) {
    const url = urls[specifier]
    return url ? { url, format: 'module', shortCircuit: true } : nextResolve(specifier, context)
  },
})

/** None where nothing was packed: the tests are slower then, and the same. */
function readUrls(): PackedIndex['urls'] {
  try {
    return (JSON.parse(readFileSync(INDEX, 'utf8')) as PackedIndex).urls
  } catch {
    return {}
  }
}
