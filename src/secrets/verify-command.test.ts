import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { generateSecret, sign } from '../sending/signature.ts'
import { formOf, signatureHeaders } from '../sending/signature-headers.ts'
import { type SignatureForm, verifyCommand } from './verify-command.ts'

const ID = '0198c1f5-7e4a-7000-8000-000000000001'
const TIMESTAMP = 1_614_265_330

/** What the command prints when it is pasted into a shell, with the secret filled in. */
function run(
  t: { teardown(done: () => void): void },
  secret: string,
  body: string,
  { read = 'base64', form }: { read?: string; form?: SignatureForm } = {},
): string {
  const folder = mkdtempSync(join(tmpdir(), 'postrider-verify-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'body.json'), body)
  const command = verifyCommand({ id: ID, timestamp: String(TIMESTAMP), body }, form)
    .replace('whsec_…', secret)
    .replace('READ=base64', `READ=${read}`)
  const { stdout, stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8', cwd: folder })
  if (stderr !== '') throw new Error(stderr)
  return stdout.trim()
}

t.test('the command computes what was sent, whatever is in the body', async (t) => {
  const bodies = [
    '{"type":"invoice.paid","timestamp":"2026-01-01T00:00:00.000Z","data":{"id":1}}',
    `{"data":"it's $HOME \`id\` \\\\ %s \\n \\u0027 \u{1F600}"}`,
    JSON.stringify({ data: 'x'.repeat(5_000) }),
  ]
  for (const body of bodies) {
    const secret = generateSecret()
    const sent = sign({ id: ID, timestampSeconds: TIMESTAMP, body, secrets: [secret] })
    t.equal(run(t, secret, body), sent, body.slice(0, 40))
    t.not(run(t, generateSecret(), body), sent, 'and with another secret something else')
  }
})

t.test('secrets that are read otherwise are verified too', async (t) => {
  const body = '{"a": 1}'
  for (const [read, secret] of [
    ['text', 'whsec_It is 100 % $ecret'],
    ['text', generateSecret('hmac', 'text')],
    ['hex', generateSecret('hmac', 'hex')],
  ] as const) {
    const secrets = [`${read}:${secret}`]
    const sent = sign({ id: ID, timestampSeconds: TIMESTAMP, body, secrets })
    t.equal(run(t, secret, body, { read }), sent, read)
  }
})

t.test('headers of other schemes are verified too, also of a long body', async (t) => {
  const secret = 'It is a text'
  for (const body of [`{"it's": "%s $HOME"}`, JSON.stringify('x'.repeat(5_000))]) {
    for (const template of [
      '{hmac_hex} over {body}',
      '{hmac_base64} over {timestamp}.{body}',
      '[{hmac_base64}] over {id}.{body}.{timestamp}.{body}',
    ]) {
      const secrets = [`text:${secret}`]
      const request = { id: ID, timestampSeconds: TIMESTAMP, body, secrets }
      const sent = signatureHeaders({ 'x-sig': template }, request)['x-sig']
      const form = formOf(template) ?? undefined
      t.equal(run(t, secret, body, { read: 'text', ...(form && { form }) }), sent, template)
    }
  }
})

t.test('the known answer of Standard Webhooks', async (t) => {
  const command = verifyCommand({
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: '1614265330',
    body: '{"test": 2432232314}',
  }).replace('whsec_…', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
  const { stdout } = spawnSync('sh', ['-c', command], { encoding: 'utf8' })
  t.equal(stdout.trim(), 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})
