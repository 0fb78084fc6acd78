import { accessSync, constants, readFileSync } from 'node:fs'
import { basename, delimiter, isAbsolute, join } from 'node:path'

/** What tests start and not every machine has, each with its package of Debian. */
const LIST = join(import.meta.dirname, '..', '..', 'scripts', 'test-programs.txt')

/** Where a program is, by the PATH; a whole path is looked for as it is. */
export function findProgram(program: string): string | undefined {
  const folders = isAbsolute(program) ? [''] : (process.env['PATH'] ?? '').split(delimiter)
  return folders.map((folder) => join(folder, program)).find(isExecutable)
}

export function isInstalled(program: string): boolean {
  return findProgram(program) !== undefined
}

/**
 * Why a test is skipped: undefined when the program is installed. At the end `npm test` repeats it.
 *
 * @throws when scripts/test-programs.txt does not list the program: no bare machine would have it
 *
 * @example
 * t.test('a dump', { skip: missing('zsh') ?? false }, …)
 */
export function missing(program: string): string | undefined {
  const names = packages()
  const name = names.get(program)
  if (name === undefined) throw new Error(`${program} is not in ${LIST}`)
  return isInstalled(program)
    ? undefined
    : `${basename(program)} is not installed: apt-get install --no-install-recommends ${name}`
}

/** The package of each program. */
function packages(): Map<string, string> {
  const lines = readFileSync(LIST, 'utf8').split('\n')
  const entries = lines.filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(entries.map((line) => line.split(' ') as [string, string]))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
