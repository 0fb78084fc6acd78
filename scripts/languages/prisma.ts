/**
 * Runs the recipes of Prisma, whose client is generated from a schema: 300 MB of packages, which is why the tests of
 * outbox and inbox have a stand-in. The recipes import `postrider/…` from this checkout, and their types are checked.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Way } from './way.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const VERSION = '7.10.0'
const entry = (name: string): string => join(ROOT, 'src', name, `${name}.ts`)

const PACKAGE = {
  type: 'module',
  private: true,
  dependencies: {
    prisma: VERSION,
    '@prisma/client': VERSION,
    '@prisma/adapter-pg': VERSION,
  },
}

const SCHEMA = `generator client {
  provider = "prisma-client"
  output = "generated"
  importFileExtension = "ts"
}
datasource db {
  provider = "postgresql"
}
model invoice {
  id Int @id
  paid Boolean @default(false)
}
model booking {
  invoice Int
  id Int @id @default(autoincrement())
}
`

/** What the checkout has for `postrider/inbox`; the npm package has it built. */
const HOOKS = `import { registerHooks } from 'node:module'
const entries = ${JSON.stringify({
  'postrider/inbox': pathToFileURL(entry('inbox')).href,
  'postrider/outbox': pathToFileURL(entry('outbox')).href,
})}
registerHooks({
  resolve: (name, context, next) => next(entries[name] ?? name, context),
})
`

const TYPES = {
  extends: join(ROOT, 'tsconfig.json'),
  compilerOptions: {
    paths: { 'postrider/inbox': [entry('inbox')], 'postrider/outbox': [entry('outbox')] },
    typeRoots: [join(ROOT, 'node_modules', '@types')],
  },
  include: ['main.ts'],
}

const program = (
  producer: string,
  receiver: string,
): string => `import { createInterface } from 'node:readline'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/client.ts'
${producer}
${receiver}
const url = process.env['DATABASE_URL'] ?? ''
const secret = process.env['WEBHOOK_SECRET'] ?? ''
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) })
for await (const line of createInterface({ input: process.stdin })) {
  const [name = '', ...args] = line.split('\\t')
  if (name === 'pay') {
    console.log(await pay(prisma, Number(args[0])).then(() => 'ok', () => 'refused'))
  } else {
    const [id = '', timestamp = '', signature = '', body = ''] = args
    const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature }
    console.log(await receive(prisma, secret, Buffer.from(body, 'base64').toString(), headers))
  }
}
`

/** Its engine is downloaded when packages are installed, and needed by `migrate` only. */
const INSTALL = `[ -d node_modules/@prisma/adapter-pg ] || npm install --silent --no-audit --no-fund --ignore-scripts
PRISMA_SCHEMA_ENGINE_BINARY=/bin/true CHECKPOINT_DISABLE=1 node_modules/.bin/prisma generate`

export const prisma: Way = {
  name: 'ts prisma',
  needs: ['npm'],
  ask: ['npm', 'view', `prisma@${VERSION}`, 'version'],
  files: (producer, receiver) => ({
    'package.json': JSON.stringify(PACKAGE),
    'schema.prisma': SCHEMA,
    'prisma.config.ts': `import { defineConfig } from 'prisma/config'\nexport default defineConfig({ schema: 'schema.prisma' })\n`,
    'hooks.mjs': HOOKS,
    'tsconfig.json': JSON.stringify(TYPES),
    'main.ts': program(producer, receiver),
  }),
  build: [
    ['sh', '-ec', INSTALL],
    [join(ROOT, 'node_modules', '.bin', 'tsc'), '--project', 'tsconfig.json'],
  ],
  run: [process.execPath, '--import', './hooks.mjs', 'main.ts'],
}
