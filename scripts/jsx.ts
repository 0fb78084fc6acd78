/** Run by every test before its own file: `node --import ./scripts/jsx.ts`. */
import { readFileSync } from 'node:fs'
import { type LoadHookSync, registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { loadJsx } from '../src/console/load-jsx.ts'

const FORMATS = new Set(['module', 'module-typescript'])

registerHooks({ load: loadDirectly })
loadJsx()

/**
 * Reads modules past tap's own hook, which notes the lines and source maps of each for a coverage that nobody
 * asks for: a fifth of what a test file took to start.
 */
function loadDirectly(
  url: string,
  context: Parameters<LoadHookSync>[1],
  nextLoad: Parameters<LoadHookSync>[2],
): ReturnType<LoadHookSync> {
  const { format } = context
  if (!format || !FORMATS.has(format) || !url.startsWith('file:')) return nextLoad(url, context)
  return { format, source: readFileSync(fileURLToPath(url), 'utf8'), shortCircuit: true }
}
