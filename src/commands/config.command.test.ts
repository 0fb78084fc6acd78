import t from 'tap'
import { EXIT } from '../terminal/exit-code.ts'
import { runCommand } from '../testing/wiring/command.ts'

const env = { PORT: '8123', DATABASE_URL: 'postgres://ann:hunter2@db/postrider', HOST: '' }

t.test('config shows what is in effect and where it comes from, without secrets', async (t) => {
  const { stdout, exitCode } = await runCommand(['config'], { env })
  t.equal(exitCode, EXIT.ok)
  t.match(stdout, /^PORT +8123 +environment /m)
  t.match(stdout, /^HOST +127\.0\.0\.1 +default /m, 'set to nothing is not set')
  t.match(stdout, /^RETENTION_DAYS +30 +default +days /m)
  t.match(stdout, /^DATABASE_URL +\(set\) +environment /m)
  t.notMatch(stdout, /hunter2/)
})

t.test('config --json tells the same', async (t) => {
  const { stdout } = await runCommand(['config', '--json'], { env })
  const { data } = JSON.parse(stdout) as { data: { name: string }[] }
  const settingOf = (name: string) => data.find((setting) => setting.name === name)
  t.match(settingOf('PORT'), { value: '8123', default: '8080', from: 'environment' })
  t.match(settingOf('HOST'), { value: null, default: '127.0.0.1', from: 'default' })
  t.match(settingOf('DATABASE_URL'), { value: '(set)', from: 'environment' })
  t.notMatch(stdout, /hunter2/)
})

t.test('config tells of the servers of both URLs, a server once', async (t) => {
  const [first, second] = ['postgres://ann@127.0.0.1:1/it', 'postgres://ann@127.0.0.1:2/it']
  const hostsOf = async (urls: object) => {
    const { stdout } = await runCommand(['config', '--json'], { env: { ...env, ...urls } })
    return JSON.parse(stdout).servers.map(({ host }: { host: string }) => host)
  }
  t.strictSame(await hostsOf({ DATABASE_URL: first, DATABASE_DIRECT_URL: second }), [
    '127.0.0.1:1',
    '127.0.0.1:2',
  ])
  t.strictSame(await hostsOf({ DATABASE_URL: first, DATABASE_DIRECT_URL: first }), ['127.0.0.1:1'])
})
