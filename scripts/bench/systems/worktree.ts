import { execFile } from 'node:child_process'
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Cleanup } from '../program.ts'
import { CHECKOUT } from './system.ts'

const run = promisify(execFile)

/**
 * Checks a commit out next to this one, for as long as the program runs. It uses the packages of
 * this checkout when it asks for the same ones, otherwise it gets its own.
 */
export async function checkOut(cleanup: Cleanup, ref: string, folder: string): Promise<string> {
  await run('git', ['-C', CHECKOUT, 'worktree', 'add', '--detach', folder, ref])
  cleanup.defer(async () => {
    await run('git', ['-C', CHECKOUT, 'worktree', 'remove', '--force', folder])
  })
  if (await hasSamePackages(folder)) {
    await symlink(join(CHECKOUT, 'node_modules'), join(folder, 'node_modules'))
  } else {
    await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder })
  }
  return folder
}

async function hasSamePackages(folder: string): Promise<boolean> {
  const [ours, theirs] = await Promise.all(
    [CHECKOUT, folder].map((root) => readFile(join(root, 'package-lock.json'), 'utf8')),
  )
  return ours === theirs
}
