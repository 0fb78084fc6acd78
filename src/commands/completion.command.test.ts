import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { EXIT } from '../terminal/exit-code.ts'
import { missing } from '../testing/programs.ts'
import { createFolder } from '../testing/wiring/cli.ts'
import { runCommand } from '../testing/wiring/command.ts'

const run = promisify(execFile)

/** What bash offers for the last of the words. */
async function offeredBy(script: string, words: string[]): Promise<string[]> {
  const quoted = words.map((word) => `'${word}'`).join(' ')
  const asked = `source '${script}'; COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}
    _postrider; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = await run('bash', ['--norc', '-uc', asked])
  return stdout.split('\n').filter(Boolean)
}

t.test('bash completes commands, what is below them, and options', async (t) => {
  const script = join(createFolder(t), 'completion.bash')
  await writeFile(script, (await runCommand(['completion', 'bash'])).stdout)
  t.strictSame(await offeredBy(script, ['postrider', 'ten']), ['tenant'])
  t.strictSame(await offeredBy(script, ['postrider', 'replay', 'c']), ['cancel'])
  t.strictSame(await offeredBy(script, ['postrider', 'delivery', 'list', 'acme', '--st']), [
    '--state',
    '--status-class',
  ])
  // The name of a tenant may be that of a command elsewhere.
  t.strictSame(await offeredBy(script, ['postrider', 'tail', 'tenant', '--end']), ['--endpoint'])
  t.ok((await offeredBy(script, ['postrider', ''])).includes('completion'))
  t.strictSame(await offeredBy(script, ['postrider', 'tenant', 'nothing-like-it']), [])
})

for (const shell of ['zsh', 'fish']) {
  t.test(`${shell} reads its script`, { skip: missing(shell) ?? false }, async (t) => {
    const script = join(createFolder(t), `completion.${shell}`)
    await writeFile(script, (await runCommand(['completion', shell])).stdout)
    await run(shell, ['-n', script])
    if (shell === 'zsh') return
    const { stdout } = await run('fish', [
      '-c',
      `source ${script}; complete -C 'postrider replay c'`,
    ])
    t.match(stdout, /^cancel\t/m)
  })
}

t.test('another shell is refused', async (t) => {
  t.match(await runCommand(['completion', 'tcsh']), {
    exitCode: EXIT.usage,
    stderr: /tcsh is none of bash, zsh, fish/,
  })
})
