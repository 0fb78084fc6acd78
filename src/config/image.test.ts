import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError, readConfig } from './config.ts'
import { LOGO_BYTES_MAX } from './image.ts'

const folder = t.testdir()

function logoOf(content: Buffer | string, name = 'logo') {
  const file = join(folder, name)
  writeFileSync(file, content)
  return readConfig({ PORTAL_LOGO_FILE: file }, 'dev').portal.logo
}

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d])

t.test('a logo has the type that its bytes say, whatever its name', async (t) => {
  t.equal(logoOf(PNG, 'logo.jpg')?.type, 'image/png')
  t.equal(logoOf(Buffer.from([0xff, 0xd8, 0xff, 0xe0]))?.type, 'image/jpeg')
  t.equal(logoOf('GIF89a')?.type, 'image/gif')
  t.equal(logoOf('RIFF\x10\x00\x00\x00WEBPVP8 ')?.type, 'image/webp')
})

t.test('what is no image of these, or too large, is refused by name', async (t) => {
  const refused = (content: Buffer | string, message: RegExp) =>
    t.throws(() => logoOf(content, 'logo.png'), { name: 'ConfigError', message })
  refused('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', /PORTAL_LOGO_FILE .*is no PNG/)
  refused('', /is no PNG, JPEG, WebP or GIF/)
  refused('RIFF\x10\x00\x00\x00WAVE', /is no PNG/)
  refused(Buffer.concat([PNG], LOGO_BYTES_MAX + 1), /is larger than 64 KiB/)
  t.ok(logoOf(Buffer.concat([PNG], LOGO_BYTES_MAX)))
  t.throws(() => readConfig({ PORTAL_LOGO_FILE: join(folder, 'none') }, 'dev'), {
    message: /PORTAL_LOGO_FILE cannot read .*none \(ENOENT\)/,
  })
  t.throws(() => readConfig({ PORTAL_LOGO_FILE: '/dev/zero' }, 'dev'), /larger than 64 KiB/)
})

t.test('colours, origins and the public address are what they are, or refused', async (t) => {
  const read = (env: Record<string, string>) => readConfig(env, 'dev')
  t.equal(read({ PORTAL_ACCENT: '#0A5c36' }).portal.accent, '#0A5c36')
  for (const accent of ['red', '#fff', '#12345g', '#123456;}', 'url(x)']) {
    t.throws(() => read({ PORTAL_ACCENT: accent }), /PORTAL_ACCENT is not a colour/, accent)
  }
  const origins = 'https://app.example.com, http://localhost:3000,http://[::1]:3000'
  t.strictSame(read({ PORTAL_FRAME_ORIGINS: origins }).portal.frameOrigins, [
    'https://app.example.com',
    'http://localhost:3000',
    'http://[::1]:3000',
  ])
  for (const origin of [
    ...['*', 'https://*.example.com', 'app.example.com', 'https://a.example/', "'self'"],
    ...['https://a.example; script-src *', 'https://a;b', 'javascript:1', 'https://A.example'],
    'https://a.example:99999',
  ]) {
    t.throws(() => read({ PORTAL_FRAME_ORIGINS: `https://ok.example,${origin}` }), ConfigError)
  }
  t.equal(read({ PUBLIC_URL: 'https://hooks.example.com/' }).publicUrl, 'https://hooks.example.com')
  for (const url of ['https://a.example/path', 'https://a.example?x', 'ftp://a.example', 'a']) {
    t.throws(() => read({ PUBLIC_URL: url }), /PUBLIC_URL/, url)
  }
})
