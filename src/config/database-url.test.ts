import t from 'tap'
import { DatabaseUrlMistake, parseDatabaseUrl } from './database-url.ts'

const namesOf = (url: string) => parseDatabaseUrl(url).hosts.map(({ name }) => name)

t.test('hosts and ports are those that libpq finds in the same URL', async (t) => {
  const cases: [string, string[]][] = [
    ['postgres://me@a/it', ['a:5432']],
    ['postgresql://me:pw@a:6000/it', ['a:6000']],
    [
      'postgres://me:pw@a:5433,b,c:5435/it?target_session_attrs=read-write',
      ['a:5433', 'b:5432', 'c:5435'],
    ],
    ['postgres://a,b/it', ['a:5432', 'b:5432']],
    ['postgres://me:p%40w@[::1]:5433,[fd00::2]/it', ['[::1]:5433', '[fd00::2]:5432']],
    ['postgres://me@/it?host=a,b&port=6001,6002', ['a:6001', 'b:6002']],
    ['postgres://me@/it?host=a,b&port=6001', ['a:6001', 'b:6001']],
    ['postgres://me@/it?host=db1', ['db1:5432']],
    ['postgres:///it?host=db1&port=6001&user=me', ['db1:6001']],
    ['postgres://me@a/it?host=db1', ['db1:5432']],
    ['postgres://me@/it?port=6001', ['local']],
    ['postgres:///it?host=/var/run/postgresql', ['local']],
    ['postgres:///it', ['local']],
  ]
  for (const [url, names] of cases) t.strictSame(namesOf(url), names, url)
})

t.test('each host has the URL with all that is not about hosts', async (t) => {
  const { hosts } = parseDatabaseUrl(
    'postgres://me:p%2Fw@a:1,b:2/it?sslmode=disable&target_session_attrs=primary&application_name=x',
  )
  t.strictSame(
    hosts.map(({ url }) => url),
    ['a:1', 'b:2'].map((at) => `postgres://me:p%2Fw@${at}/it?sslmode=disable&application_name=x`),
  )
  t.strictSame(parseDatabaseUrl('postgres://me@[::1]:7/it').hosts[0].host, '::1')
  const urlOf = (url: string) => parseDatabaseUrl(url).hosts[0].url
  t.equal(urlOf('postgres:///it?host=db1&port=6001&user=me'), 'postgres://db1:6001/it?user=me')
  const local = 'postgres://me@/it?port=6001'
  t.equal(urlOf(local), local, 'the port is that of a socket')
})

t.test('a single name may be a standby, unless it is asked to be writable', async (t) => {
  const wants = (query: string) => parseDatabaseUrl(`postgres://a/it${query}`).mustWrite
  t.strictSame(
    [
      '',
      '?target_session_attrs=any',
      '?target_session_attrs=primary',
      '?target_session_attrs=read-write',
    ].map(wants),
    [false, false, true, true],
  )
  t.ok(parseDatabaseUrl('postgres://a,b/it').mustWrite)
})

t.test('what no server can be found by is refused in words', async (t) => {
  for (const url of [
    'mysql://a/it',
    'a:5432',
    'postgres://a,,b/it',
    'postgres://a:0,b/it',
    'postgres://a:65536/it',
    'postgres://a:x,b/it',
    'postgres://[::1/it',
  ]) {
    t.throws(() => parseDatabaseUrl(url), { message: /^is not a URL like/ }, url)
  }
  for (const url of ['postgres:///it?host=/a,/b', 'postgres://%2Frun%2Fa,b/it']) {
    t.throws(() => parseDatabaseUrl(url), { message: /name hosts only, or one directory/ }, url)
  }
  for (const wanted of ['read-only', 'standby', 'prefer-standby', 'nonsense']) {
    t.throws(
      () => parseDatabaseUrl(`postgres://a,b/it?target_session_attrs=${wanted}`),
      DatabaseUrlMistake,
    )
  }
})
