import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { makeCertificates } from '../testing/servers/certificates.ts'
import { ConfigError, describeVariables, readConfig, renderConfigTable } from './config.ts'

const KEY = randomBytes(32).toString('base64')
const SERVICE = { DATABASE_URL: 'postgres://user@db/postrider', SECRET_ENCRYPTION_KEY: KEY }

/** The mistakes found in variables that are otherwise good enough for a runner. */
function mistakesIn(env: Record<string, string | undefined>): readonly string[] {
  try {
    readConfig({ ...SERVICE, ...env }, 'runner')
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.mistakes
  }
}

t.test('dev needs no variable at all', async (t) => {
  t.match(readConfig({}, 'dev'), {
    databaseUrl: undefined,
    host: '127.0.0.1',
    port: 8080,
    metricsPort: undefined,
    trustedProxies: [],
    isProduction: false,
    dataDir: '.postrider',
    runnerConcurrency: 250,
    runnerPort: 0,
    egressAllow: [],
    egressProxy: undefined,
    egressCaCertificates: [],
    httpsOnly: false,
    svixApi: false,
    retryScheduleSeconds: [60, 120, 240, 900, 3600, 14_400, 43_200, 86_400, 86_400],
    deliveryTimeoutSeconds: 15,
    shutdownSeconds: 25,
    endpointDisableAfterDays: 5,
    endpointsPerTenantMax: 1_000,
    eventBytesMax: 262_144,
    apiRateLimit: 10_000,
    heavyRequestsPerKey: 2,
    heavyRequestsPerTenant: 3,
    replaysPerKey: 20,
    replaysPerTenant: 5,
    retentionDays: 30,
    logLevel: 'info',
  })
})

t.test('every mistake is reported at once, by name', async (t) => {
  const wrong = {
    DATABASE_URL: 'mysql://db',
    REDIS_URL: 'localhost:6379',
    PORT: 'http',
    POSTRIDER_ADMIN_KEY: 'short',
    SECRET_ENCRYPTION_KEY: 'c2hvcnQ=',
    RUNNER_CONCURRENCY: '2001',
    EGRESS_ALLOW: '10.0.0.0/8,private',
    EGRESS_PROXY: 'proxy:3128',
    EGRESS_CA_FILE: '/nowhere/ca.pem',
    HTTPS_ONLY: 'yes',
    RETRY_SCHEDULE: '60,soon',
    DELIVERY_TIMEOUT_SECONDS: '0',
    EVENT_BYTES_MAX: '1e6',
    API_RATE_LIMIT: '-1',
    RETENTION_DAYS: '1.5',
    LOG_LEVEL: 'loud',
    POSTRIDER_URL: 'localhost',
    POSTRIDER_API_KEY: 'two words',
  }
  const mistakes = mistakesIn(wrong)
  t.strictSame([...new Set(mistakes.map((mistake) => mistake.split(' ')[0]))], Object.keys(wrong))
  t.ok(mistakes.some((mistake) => mistake.startsWith('EGRESS_ALLOW (entry 2) ')))
  t.ok(mistakes.some((mistake) => mistake.startsWith('RETRY_SCHEDULE (entry 2) ')))
})

t.test('what a command needs is missing by name, next to the other mistakes', async (t) => {
  const names = (command: 'api' | 'runner' | 'migrate') => {
    try {
      readConfig({ PORT: 'x' }, command)
      return []
    } catch (error) {
      return (error as ConfigError).mistakes.map((mistake) => mistake.split(' ')[0])
    }
  }
  t.strictSame(names('api'), ['DATABASE_URL', 'SECRET_ENCRYPTION_KEY', 'PORT'])
  t.strictSame(names('runner'), ['DATABASE_URL', 'SECRET_ENCRYPTION_KEY', 'PORT'])
  t.strictSame(names('migrate'), ['DATABASE_URL', 'PORT'])
})

t.test('an empty variable counts as unset', async (t) => {
  t.equal(readConfig({ REDIS_URL: '', PORT: '' }, 'dev').port, 8080)
  t.throws(() => readConfig({ ...SERVICE, DATABASE_URL: '' }, 'runner'), /DATABASE_URL is required/)
})

t.test('no mistake quotes a value, which may be a secret', async (t) => {
  const message = mistakesIn({
    DATABASE_URL: 'hunter2',
    SECRET_ENCRYPTION_KEY: `${KEY},hunter2`,
    POSTRIDER_ADMIN_KEY: 'hunter 2',
    EGRESS_PROXY: 'ftp://user:hunter2@proxy',
  }).join()
  t.notMatch(message, 'hunter')
})

t.test('encryption keys are 32 bytes of strict base64; the first encrypts', async (t) => {
  const older = randomBytes(32).toString('base64')
  const { secretEncryptionKeys } = readConfig(
    { ...SERVICE, SECRET_ENCRYPTION_KEY: `${KEY}, ${older.replace('=', '')}` },
    'api',
  )
  t.strictSame(
    secretEncryptionKeys.map((key) => key.toString('base64')),
    [KEY, older],
  )
  for (const length of [31, 33]) {
    const mistakes = mistakesIn({ SECRET_ENCRYPTION_KEY: randomBytes(length).toString('base64') })
    t.equal(mistakes.length, 1, `${length} bytes are refused`)
  }
  t.equal(mistakesIn({ SECRET_ENCRYPTION_KEY: `*${KEY}` }).length, 1, 'Node would ignore the star')
  t.equal(mistakesIn({ SECRET_ENCRYPTION_KEY: ',' }).length, 1, 'a list of nothing')
})

t.test('numbers keep to their bounds at both ends', async (t) => {
  const bounds: [string, number, number][] = [
    ['PORT', 0, 65_535],
    ['METRICS_PORT', 0, 65_535],
    ['RUNNER_CONCURRENCY', 1, 2000],
    ['DELIVERY_TIMEOUT_SECONDS', 1, 60],
    ['EVENT_BYTES_MAX', 1024, 1_048_576],
    ['API_RATE_LIMIT', 0, 1_000_000],
    ['HEAVY_REQUESTS_PER_KEY', 1, 100],
    ['HEAVY_REQUESTS_PER_TENANT', 1, 100],
    ['REPLAYS_PER_KEY', 1, 10_000],
    ['REPLAYS_PER_TENANT', 1, 10_000],
    ['RETENTION_DAYS', 1, 3650],
  ]
  for (const [name, min, max] of bounds) {
    t.strictSame(mistakesIn({ [name]: `${min}` }), [], `${name}=${min}`)
    t.strictSame(mistakesIn({ [name]: `${max}` }), [], `${name}=${max}`)
    t.equal(mistakesIn({ [name]: `${min - 1}` }).length, 1, `${name}=${min - 1}`)
    t.equal(mistakesIn({ [name]: `${max + 1}` }).length, 1, `${name}=${max + 1}`)
  }
  for (const text of ['0x10', '1_0', ' ', '10 000', 'Infinity']) {
    t.ok(mistakesIn({ PORT: text }).length > 0, `PORT=${text}`)
  }
})

t.test('a retry schedule is one to fifty delays', async (t) => {
  const schedule = (text: string) =>
    readConfig({ RETRY_SCHEDULE: text }, 'dev').retryScheduleSeconds
  t.strictSame(schedule('1, 2.5 ,0'), [1, 2.5, 0])
  t.equal(schedule(Array(50).fill('1').join()).length, 50)
  t.equal(mistakesIn({ RETRY_SCHEDULE: Array(51).fill('1').join() }).length, 1)
  t.equal(mistakesIn({ RETRY_SCHEDULE: '-1' }).length, 1)
  t.equal(mistakesIn({ RETRY_SCHEDULE: `${7 * 86_400}` }).length, 0)
  t.equal(mistakesIn({ RETRY_SCHEDULE: `${7 * 86_400 + 1}` }).length, 1)
})

t.test('networks are refused when a bit after the prefix is set', async (t) => {
  const good = ['10.0.0.0/8', '::1', '127.0.0.1', 'fd00::/8', '0.0.0.0/0']
  t.strictSame(readConfig({ EGRESS_ALLOW: good.join(', ') }, 'dev').egressAllow, good)
  for (const bad of ['10.0.0.1/8', '10.0.0.0/33', '10.1/8', 'fe80::1%eth0', 'localhost']) {
    t.equal(mistakesIn({ EGRESS_ALLOW: bad }).length, 1, bad)
  }
})

t.test('a proxy is a host with credentials, in one of four protocols', async (t) => {
  const proxyOf = (url: string) => readConfig({ EGRESS_PROXY: url }, 'dev').egressProxy
  t.match(proxyOf('http://user:p%40ss@proxy:3128'), { username: 'user', password: 'p%40ss' })
  for (const protocol of ['http', 'https', 'socks5', 'socks5h']) {
    t.match(proxyOf(`${protocol}://[::1]:1080/`), { protocol: `${protocol}:`, hostname: '[::1]' })
  }
  for (const url of [
    'socks4://proxy',
    'proxy:3128',
    'proxy',
    'http://proxy/path',
    'http://proxy/?a',
    'socks5://proxy#a',
    'socks5://',
    'http://us%er@proxy',
  ]) {
    t.equal(mistakesIn({ EGRESS_PROXY: url }).length, 1, url)
  }
})

t.test('certificates are read at start; a file that does not work is named', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'postrider-config-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const { ca, selfSigned } = await makeCertificates()
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text)
    return join(folder, name)
  }
  const two = await write('two.pem', `# Ours\n${ca}\nTheirs\n${selfSigned.cert}`)
  const one = await write('one.pem', ca)
  const empty = await write('empty.pem', 'nothing')
  const broken = await write('broken.pem', `${ca}${ca.replace(/\n.{20}/, '\n')}`)
  const read = (files: string) =>
    readConfig({ EGRESS_CA_FILE: files }, 'dev').egressCaCertificates.map((pem) => pem.trim())
  t.strictSame(read(`${two}, ${one}`), [ca.trim(), selfSigned.cert.trim(), ca.trim()])

  t.strictSame(mistakesIn({ EGRESS_CA_FILE: [one, empty, broken, `${one}x`, folder].join() }), [
    `EGRESS_CA_FILE (entry 2) has no PEM certificate in ${empty}`,
    `EGRESS_CA_FILE (entry 3) certificate 2 of ${broken} is broken`,
    `EGRESS_CA_FILE (entry 4) cannot read ${one}x (ENOENT)`,
    `EGRESS_CA_FILE (entry 5) cannot read ${folder} (EISDIR)`,
  ])
})

t.test(
  'production takes an admin key of 32 characters or more, and others only warn',
  async (t) => {
    const read = (command: 'api' | 'dev' | 'runner', length: number, NODE_ENV = 'production') => {
      const POSTRIDER_ADMIN_KEY = 'k'.repeat(length)
      return () => readConfig({ ...SERVICE, NODE_ENV, POSTRIDER_ADMIN_KEY }, command as 'api')
    }
    t.throws(read('api', 31), /POSTRIDER_ADMIN_KEY has fewer than 32 characters.*openssl rand/s)
    t.equal(read('api', 32)().isProduction, true)
    t.throws(
      read('api', 11),
      /has a mistake:\n {2}POSTRIDER_ADMIN_KEY has fewer than 12 characters$/,
    )
    for (const NODE_ENV of ['', 'development', 'test', 'Production']) {
      t.equal(read('api', 12, NODE_ENV)().isProduction, false, NODE_ENV)
    }
    t.equal(read('dev', 12)().isProduction, false, 'dev is for trying out')
    t.doesNotThrow(read('runner', 12), 'which needs none')
    t.doesNotThrow(() => readConfig({ ...SERVICE, NODE_ENV: 'production' }, 'api'), 'none at all')
  },
)

t.test('TRUSTED_PROXIES are networks, or addresses', async (t) => {
  const { trustedProxies } = readConfig({ TRUSTED_PROXIES: '10.0.0.0/8, ::1,192.0.2.7' }, 'dev')
  t.strictSame(trustedProxies, ['10.0.0.0/8', '::1', '192.0.2.7'])
  for (const wrong of ['proxy', '10.0.0.1/8', 'true', '*', '10.0.0.0/33']) {
    t.match(mistakesIn({ TRUSTED_PROXIES: wrong }), [
      /^TRUSTED_PROXIES \(entry 1\) is not a network/,
    ])
  }
})

t.test('HTTPS_ONLY is true or false', async (t) => {
  t.equal(readConfig({ HTTPS_ONLY: 'true' }, 'dev').httpsOnly, true)
  t.equal(readConfig({ HTTPS_ONLY: 'false' }, 'dev').httpsOnly, false)
  t.equal(mistakesIn({ HTTPS_ONLY: '1' }).length, 1)
})

t.test('URLs of the sorts that people have', async (t) => {
  for (const url of [
    'postgresql://db/postrider',
    'postgres://u:p%40ss@[::1]:5433/postrider?sslmode=require',
    'postgres:///postrider?host=/var/run/postgresql',
  ]) {
    t.equal(readConfig({ ...SERVICE, DATABASE_URL: url }, 'api').databaseUrl, url)
  }
  t.strictSame(mistakesIn({ REDIS_URL: 'rediss://:secret@cache:6380/1' }), [])
  t.equal(readConfig({ POSTRIDER_URL: 'http://api:8080/' }, 'client').apiUrl, 'http://api:8080')
})

t.test('every variable is documented, each once', async (t) => {
  const variables = describeVariables()
  t.ok(variables.length >= 16)
  t.ok(variables.every(({ meaning, default: value }) => meaning !== '' && value !== ''))
})

t.test('the table in the docs is the one rendered from the code', async (t) => {
  const docs = readFileSync(
    join(import.meta.dirname, '../../docs/reference/configuration.md'),
    'utf8',
  )
  const [, table] = docs.split(/<!-- (?:\/)?configuration -->\n/)
  t.equal(table, renderConfigTable(), 'update with: scripts/postrider config --markdown')
})
