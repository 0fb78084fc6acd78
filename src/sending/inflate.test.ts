import { randomBytes } from 'node:crypto'
import zlib from 'node:zlib'
import t from 'tap'
import { inflate } from './inflate.ts'

const MAX = 16_384
const TEXT = Buffer.from(`${'hello '.repeat(2_000)}end`)
/** Hardly compressible, so that a part of it is a part of the text. */
const DENSE = Buffer.from(randomBytes(9_000).toString('base64'))

const CODINGS: [coding: string, compress: (bytes: Buffer) => Buffer][] = [
  ['gzip', zlib.gzipSync],
  ['x-gzip', zlib.gzipSync],
  ['GZip', zlib.gzipSync],
  ['deflate', zlib.deflateSync],
  ['br', zlib.brotliCompressSync],
  ['zstd', zlib.zstdCompressSync],
  ['gzip, br', (bytes) => zlib.brotliCompressSync(zlib.gzipSync(bytes))],
  ['identity, gzip', zlib.gzipSync],
  ['gzip,gzip,gzip', (bytes) => zlib.gzipSync(zlib.gzipSync(zlib.gzipSync(bytes)))],
]
for (const [coding, compress] of CODINGS) {
  t.test(`reads what is compressed as ${coding}`, async (t) => {
    t.equal(String(await inflate(compress(TEXT), coding, MAX)), String(TEXT))
    t.equal((await inflate(compress(Buffer.alloc(0)), coding, MAX))?.length, 0, 'and nothing')
    t.equal(await inflate(Buffer.from('{"is":"plain"}'), coding, MAX), null, 'but no other text')
  })

  t.test(`stops at the bound, to the byte, for ${coding}`, async (t) => {
    for (const [length, expected] of [
      [MAX - 1, MAX - 1],
      [MAX, MAX],
      [MAX + 1, MAX],
      [5_000_000, MAX],
    ] as const) {
      const bomb = compress(Buffer.alloc(length, 'a')).subarray(0, MAX)
      t.equal((await inflate(bomb, coding, MAX))?.length, expected)
    }
  })
}

t.test('reads deflate without the header that belongs to it', async (t) => {
  t.equal(String(await inflate(zlib.deflateRawSync(TEXT), 'deflate', MAX)), String(TEXT))
})

// zstd comes in blocks of up to 128 KB, and of half a block nothing can be read.
for (const [coding, compress] of CODINGS.slice(0, 5)) {
  t.test(`reads the start of ${coding} that was cut`, async (t) => {
    const read = await inflate(compress(DENSE).subarray(0, 8_000), coding, MAX)
    t.ok(read && read.length > 4_000)
    t.ok(read?.equals(DENSE.subarray(0, read.length)))
  })
}

for (const [coding, compress] of CODINGS.slice(0, 4)) {
  t.test(`reads ${coding} as far as it is whole`, async (t) => {
    const bytes = compress(DENSE)
    const read = await inflate(bytes.fill(0xff, bytes.length - 2_000), coding, MAX)
    t.equal(String(read?.subarray(0, 4_000)), DENSE.toString('utf8', 0, 4_000))
  })
}

// Nothing of it could be read: a decoder loses what it has made of the piece in which it meets a mistake.
for (const [coding, compress] of CODINGS.slice(0, 4)) {
  t.test(`reads a short text as ${coding} in spite of what is wrong at its end`, async (t) => {
    const text = '{"error":"no such order"}'
    const bytes = compress(Buffer.from(text))
    for (const end of ['\r\n', 'JUNK', '\0\0']) {
      const read = await inflate(Buffer.concat([bytes, Buffer.from(end)]), coding, MAX)
      t.equal(String(read), text, JSON.stringify(end))
    }
    const wrongSum = Buffer.from(bytes).fill(0xff, bytes.length - 4)
    t.equal(String(await inflate(wrongSum, coding, MAX)), text)
  })
}

t.test('leaves alone what it does not know or nobody would send', async (t) => {
  for (const coding of ['compress', 'toString', '__proto__', 'gzip, compress', 'gzip;q=1']) {
    t.equal(await inflate(zlib.gzipSync(TEXT), coding, MAX), null, coding)
  }
  t.equal(await inflate(zlib.gzipSync(TEXT), 'gzip,gzip,gzip,gzip', MAX), null)
  t.strictSame(await inflate(TEXT, 'identity', MAX), TEXT)
})

t.test('refuses zstd that wants 128 MB for its window', async (t) => {
  const { ZSTD_c_windowLog } = zlib.constants
  const windowOf = (bits: number) =>
    zlib.createZstdCompress({ params: { [ZSTD_c_windowLog]: bits } })
  for (const [bits, isRead] of [
    [23, true],
    [27, false],
  ] as const) {
    // As a stream, since the window of input whose length is known is no longer than it.
    const compress = windowOf(bits)
    compress.write(Buffer.alloc(1_000_000, 'a'))
    compress.end(Buffer.alloc(1_000_000, 'a'))
    const bytes = Buffer.concat(await compress.toArray())
    t.equal((await inflate(bytes, 'zstd', MAX)) !== null, isRead)
  }
})
