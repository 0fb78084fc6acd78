/** Run by every test before its own file: `node --import ./scripts/jsx.ts`. */
import { readFileSync } from 'node:fs'
import { type LoadHookSync, type ResolveHookSync, registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import { loadJsx } from '../src/console/load-jsx.ts'
import '../src/testing/packed/load.ts'

const FORMATS = new Set(['module', 'module-typescript'])

registerHooks({ resolve: resolveDirectly, load: loadDirectly })
loadJsx()

/** Ours are imported by their whole names, so there is nothing to look for in folders and package.json files. */
function resolveDirectly(
  specifier: string,
  context: Parameters<ResolveHookSync>[1],
  nextResolve: Parameters<ResolveHookSync>[2],
): ReturnType<ResolveHookSync> {
  const { parentURL } = context
  const isOurs = /^\.\.?\/.*\.ts$/.test(specifier) && parentURL?.startsWith('file:')
  if (!isOurs) return nextResolve(specifier, context)
  const { href: url } = new URL(specifier, parentURL)
  return { url, format: 'module-typescript', shortCircuit: true }
}

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
