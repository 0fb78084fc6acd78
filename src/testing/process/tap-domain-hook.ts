/**
 * Run by every test before anything of tap, `NODE_OPTIONS=--import=…` in package.json: what `--import` of a command
 * line names comes later, and has tap load its own domains.
 */
import { registerHooks } from 'node:module'

const { href: url } = new URL('./tap-domain.ts', import.meta.url)

registerHooks({
  resolve: (specifier, context, nextResolve) =>
    specifier === 'async-hook-domain'
      ? { url, format: 'module-typescript', shortCircuit: true }
      : nextResolve(specifier, context),
})
// Not for the processes that a test starts.
delete process.env['NODE_OPTIONS']
