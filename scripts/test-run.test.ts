/** What surrounds a run of tests: which programs are found, and what is told of the run afterwards. */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { missing } from '../src/testing/programs.ts'
import { createFolder, plainNode, processEnvironment } from '../src/testing/wiring/cli.ts'
import type { TestLifetime } from '../src/testing/wiring/database.ts'

const root = join(import.meta.dirname, '..')

/** Of a run of four files, two of them together, as tap writes it. */
const OUTPUT = `TAP version 14
# Subtest: src/a.test.ts
    # Subtest: with a browser
        1..0 # SKIP chromium is not installed: apt-get install --no-install-recommends chromium
    ok 1 - with a browser # SKIP chromium is not installed: apt-get install --no-install-recommends chromium
    # Subtest: on Postgres 15
        1..0 # SKIP Postgres 15 is not installed: apt-get install postgresql
    ok 2 - on Postgres 15 # SKIP Postgres 15 is not installed: apt-get install postgresql
    ok 3 - works # time=1000ms
    ok 4 - as root # SKIP needs root
    1..4
ok 1 - src/a.test.ts # time=1500ms
# Subtest: src/b.test.ts
    ok 1 - works
    1..1
ok 2 - src/b.test.ts # time=12000ms
# Subtest: .tap/together/01.test.ts
    # Subtest: src/c.test.ts
        # Subtest: works
            ok 1 - should be equal
            1..1
        ok 1 - works # time=400ms
        1..1
    ok 1 - src/c.test.ts # time=500ms
    # Subtest: src/d.test.ts
        ok 1 - works
        1..1
    ok 2 - src/d.test.ts # time=2000ms
    1..2
ok 3 - .tap/together/01.test.ts # time=3000ms
1..3
# time=13000ms
`

/** What a script prints about that run. */
function told(
  t: TestLifetime,
  script: string,
  output: string,
  { long = true }: { long?: boolean } = {},
): string {
  const file = join(createFolder(t), 'run.tap')
  writeFileSync(file, output)
  const [command, args] = plainNode(join(root, 'scripts', script), file)
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...processEnvironment(), LONG_TESTS: long ? '1' : '' },
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

t.test('the last lines of a run tell what was skipped, and how to change that', async (t) => {
  t.equal(
    told(t, 'not-run.ts', OUTPUT),
    `
Not run:
  1 test: chromium is not installed: apt-get install --no-install-recommends chromium
  1 test: Postgres 15 is not installed: apt-get install postgresql
  1 test: needs root
To run them too: apt-get install --no-install-recommends chromium postgresql
`,
  )
})

t.test('a run that left nothing out adds nothing', async (t) => {
  t.equal(told(t, 'not-run.ts', OUTPUT.replaceAll(/ # SKIP.*/g, '')), '')
})

t.test('the last line of a short run says how to have the long one', async (t) => {
  const output = told(t, 'not-run.ts', OUTPUT, { long: false })
  t.match(output.trimEnd().split('\n').at(-1), /left out; `LONG_TESTS=1 npm test` runs it/)
})

t.test('CI runs what takes long as well', async (t) => {
  t.match(readFileSync(join(root, '.ci/run'), 'utf8'), /^LONG_TESTS=1 npm test /m)
})

t.test('files are listed by the time they took', async (t) => {
  t.strictSame(told(t, 'test-times.ts', OUTPUT).trimEnd().split('\n'), [
    '   12.0 s  src/b.test.ts',
    '    2.0 s  src/d.test.ts',
    '    1.5 s  src/a.test.ts',
    '    0.5 s  src/c.test.ts',
    '   16.0 s  in 4 files; the run took 13.0 s',
  ])
})

/** Runs a script of this folder where these programs are found first. */
function run([script = '', ...args]: string[], programs: string, path = process.env['PATH']) {
  const env = { ...processEnvironment(), PATH: `${programs}:${path}` }
  const { status, stdout, stderr } = spawnSync(join(root, 'scripts', script), args, {
    env,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return stdout.trimEnd()
}

/** A folder with programs that only tell their arguments. */
function createPrograms(t: TestLifetime, names: string[]): string {
  const folder = createFolder(t)
  for (const name of names)
    writeFileSync(join(folder, name), '#!/bin/sh\necho "$*"\n', { mode: 0o755 })
  return folder
}

t.test(
  'tests find what a bare Debian has and what is installed for them, and nothing else',
  { skip: !existsSync('/usr/bin/dpkg-query') && 'this is not Debian' },
  async (t) => {
    const programs = createPrograms(t, ['fish', 'a-program-of-mine'])
    const [modules, folder] = run(['test-path.sh', createFolder(t)], programs).split(':')
    t.equal(modules, join(root, 'node_modules', '.bin'))
    const found = new Set(readdirSync(folder ?? ''))
    for (const name of ['sh', 'env', 'sed', 'useradd', 'node', 'npm', 'fish'])
      t.ok(found.has(name), name)
    for (const name of ['a-program-of-mine', 'apt-get', 'git', 'make'])
      t.notOk(found.has(name), name)
  },
)

t.test(
  'the folder of programs stays as it is when it is made again by a run that finds its programs there',
  { skip: !existsSync('/usr/bin/dpkg-query') && 'this is not Debian' },
  async (t) => {
    const programs = createPrograms(t, ['fish'])
    const folder = createFolder(t)
    run(['test-path.sh', folder], programs)
    run(['test-path.sh', folder], folder)
    t.equal(readlinkSync(join(folder, 'fish')), join(programs, 'fish'))
    t.ok(existsSync(join(folder, 'node')))
  },
)

t.test('on a bare machine everything is installed that tests start', async (t) => {
  const programs = createPrograms(t, ['apt-get'])
  const bare = createPrograms(t, [])
  symlinkSync('/usr/bin/dirname', join(bare, 'dirname'))
  const installed = run(['install-test-programs.sh'], programs, bare).split('\n').at(-1)?.split(' ')
  for (const name of [
    'redis-server',
    'openssl',
    'curl',
    'prometheus',
    'chromium-headless-shell',
    'zsh',
    'fish',
  ]) {
    t.ok(installed?.includes(name), name)
  }
  t.match(
    readFileSync(join(root, '.ci/run'), 'utf8'),
    'step programs scripts/install-test-programs.sh',
  )
})

t.test(
  'where a program that will do is there, one that cannot be installed is done without',
  async (t) => {
    const listed = readFileSync(join(root, 'scripts/test-programs.txt'), 'utf8').split('\n')
    const names = listed
      .map((line) => line.split(' ')[0] ?? '')
      .filter((name) => /^[a-z0-9-]+$/.test(name))
    const others = names.filter((name) => name !== 'chromium-headless-shell')
    const programs = createPrograms(t, [...others, 'chromium'])
    for (const name of ['dirname', 'sh', 'env'])
      symlinkSync(`/usr/bin/${name}`, join(programs, name))
    const failing = '#!/bin/sh\nexit 1\n'
    writeFileSync(join(programs, 'apt-get'), failing, { mode: 0o755 })
    t.equal(run(['install-test-programs.sh'], programs, '/nowhere'), '')
    rmSync(join(programs, 'chromium'))
    t.throws(() => run(['install-test-programs.sh'], programs, '/nowhere'))
  },
)

t.test('no test can be skipped for want of a program that is not listed', async (t) => {
  t.throws(() => missing('a-program-of-mine'), /a-program-of-mine is not in .*test-programs\.txt/)
})
