import { accessSync, constants, readFileSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/** What tests start and not every machine has, each with its package of Debian. */
const LIST = join(import.meta.dirname, '..', '..', 'scripts', 'test-programs.txt')

/** Whether a program is in the PATH; a whole path is looked for as it is. */
export function isInstalled(program: string): boolean {
  const folders = isAbsolute(program) ? [''] : (process.env['PATH'] ?? '').split(delimiter)
  return folders.some((folder) => isExecutable(join(folder, program)))
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
    : `${program} is not installed: apt-get install --no-install-recommends ${name}`
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
