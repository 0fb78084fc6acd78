import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommanderError } from 'commander'
import t from 'tap'
import { ConfigError } from '../config/config.ts'
import { SeveralClusters } from '../postgres/servers.ts'
import { ApiRefused, ApiUnreachable } from './api-client.ts'
import { EndedUnasked, EXIT, EXIT_MEANINGS, UsageError } from './exit-code.ts'
import { verdict } from './verdict.ts'

const withCode = (code: string, message = code) => Object.assign(new Error(message), { code })

t.test('every kind of failure has its exit code', async (t) => {
  const table: [string, unknown, number][] = [
    ['help that was asked for', new CommanderError(0, 'commander.help', ''), EXIT.ok],
    ['an unknown option', new CommanderError(1, 'commander.unknownOption', ''), EXIT.usage],
    ['data that is not JSON', new UsageError('data is not JSON'), EXIT.usage],
    ['a mistake in the environment', new ConfigError(['PORT is not a number']), EXIT.config],
    ['a wrong password', withCode('28P01'), EXIT.config],
    ['a database that does not exist', withCode('3D000'), EXIT.config],
    ['servers of several clusters', new SeveralClusters('a and b'), EXIT.config],
    ['a refusal of the API', new ApiRefused(422, '{}'), EXIT.failed],
    ['an error of ours with a code', withCode('schema_missing'), EXIT.failed],
    ['an API that is not there', new ApiUnreachable('http://a', { cause: 1 }), EXIT.unavailable],
    ['a database that is not there', withCode('ECONNREFUSED'), EXIT.temporary],
    ['a database that shuts down', withCode('57P01'), EXIT.temporary],
    ['a service that ended', new EndedUnasked('ended'), EXIT.temporary],
    ['a statement that is wrong', withCode('42601'), EXIT.internal],
    ['anything else', new TypeError('x is not a function'), EXIT.internal],
    ['what is no error at all', 'text', EXIT.internal],
  ]
  for (const [name, error, exitCode] of table) t.equal(verdict(error).exitCode, exitCode, name)
})

t.test('causes are told, each once', async (t) => {
  const root = Object.assign(new AggregateError([new Error('one'), new Error('two')], ''), {
    code: 'ECONNREFUSED',
  })
  t.equal(verdict(root).message, 'the database is not available: one; two')
  const ended = new EndedUnasked('it ended', {
    cause: new Error('lost', { cause: new Error('lost') }),
  })
  t.equal(verdict(ended).message, 'it ended: lost')
})

t.test('only a fault of ours shows a stack', async (t) => {
  t.match(verdict(new TypeError('broken')).message, /TypeError: broken\n +at /)
  t.notMatch(verdict(withCode('schema_missing')).message, /\n +at /)
})

t.test('the docs show the exit codes', async (t) => {
  const docs = readFileSync(join(import.meta.dirname, '../../docs/reference/exit-codes.md'), 'utf8')
  for (const [code, meaning] of Object.entries(EXIT_MEANINGS)) {
    t.ok(docs.includes(`| ${code} | ${meaning} |`), code)
  }
})
