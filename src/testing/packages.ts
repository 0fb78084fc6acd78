import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isLong } from './long.ts'

const CHECKOUT = join(import.meta.dirname, '..', '..')

/** Whether tests install packages as people do, with npm, which takes half a minute. */
export const INSTALLS_WITH_NPM = isLong

/** Of a package in package-lock.json: what needs it. */
type Locked = Partial<Record<'dev' | 'optional' | 'devOptional', boolean>>

/**
 * What `npm ci --omit=…` does, by links into the checkout, where `scripts/setup` has installed the same versions.
 *
 * @param omit kinds of packages that the folder is to do without
 */
export function linkPackages(folder: string, omit: ('dev' | 'optional')[]): void {
  if (omit.length === 0) {
    symlinkSync(join(CHECKOUT, 'node_modules'), join(folder, 'node_modules'))
    return
  }
  const { packages } = JSON.parse(readFileSync(join(CHECKOUT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  for (const [path, locked] of Object.entries(packages)) {
    const isOmitted = omit.some((kind) => locked[kind]) || (omit.length === 2 && locked.devOptional)
    const isOfAnother = path.lastIndexOf('node_modules/') !== 0
    if (isOmitted || isOfAnother || !existsSync(join(CHECKOUT, path))) continue
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    symlinkSync(join(CHECKOUT, path), join(folder, path))
  }
}
