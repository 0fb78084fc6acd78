import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Env, Hono } from 'hono'

const { resolve } = createRequire(import.meta.url)
const OWN = join(import.meta.dirname, 'assets')

/** Everything that a page loads; nothing comes from anywhere else. */
const FILES = {
  'console.css': [join(OWN, 'console.css'), 'text/css; charset=utf-8'],
  'console.js': [join(OWN, 'console.js'), 'text/javascript; charset=utf-8'],
  'live.js': [join(OWN, 'live.js'), 'text/javascript; charset=utf-8'],
  'icon-trouble.svg': [join(OWN, 'icon-trouble.svg'), 'image/svg+xml'],
  'icon.svg': [join(OWN, 'icon.svg'), 'image/svg+xml'],
  'htmx.js': [resolve('htmx.org/dist/htmx.min.js'), 'text/javascript; charset=utf-8'],
  'uplot.js': [resolve('uplot/dist/uPlot.iife.min.js'), 'text/javascript; charset=utf-8'],
  'uplot.css': [resolve('uplot/dist/uPlot.min.css'), 'text/css; charset=utf-8'],
} as const satisfies Record<string, readonly [file: string, type: string]>

type AssetName = keyof typeof FILES | OwnAsset['name']

/** The name in the address changes with the content, so a copy never gets old. */
const FOREVER = 'public, max-age=31536000, immutable'
/** 48 bits tell versions of one file apart. */
const HASH_CHARACTERS = 12

export interface Assets {
  /** Where a page finds the file; empty where there is none. */
  urlOf(name: AssetName): string
  addRoutes<E extends Env>(app: Hono<E>): void
}

/** What is made, or comes from elsewhere than the program. */
export interface OwnAsset {
  name: 'theme.css' | 'logo'
  type: string
  bytes: Buffer
}

/** Reads the files once; they are a quarter of a megabyte. @param base such as `/console/assets` */
export function loadAssets(base: string, own: readonly OwnAsset[] = []): Assets {
  const files = Object.entries(FILES).map(([name, [file, type]]) => {
    return { name, type, bytes: readFileSync(file) }
  })
  const assets = [...files, ...own].map(({ name, type, bytes }) => {
    const hash = createHash('sha256').update(bytes).digest('hex').slice(0, HASH_CHARACTERS)
    return { name, type, bytes, gzipped: gzipSync(bytes), path: `/${hash}/${name}` }
  })
  const byPath = new Map(assets.map((asset) => [asset.path, asset]))
  const urls = new Map(assets.map(({ name, path }) => [name, base + path]))
  return {
    urlOf: (name) => urls.get(name) ?? '',
    addRoutes(app) {
      app.get('/assets/:hash/:name', (c) => {
        const { hash, name } = c.req.param()
        const asset = byPath.get(`/${hash}/${name}`)
        if (!asset) return c.body(null, 404)
        const isGzipped = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '')
        return c.body(new Uint8Array(isGzipped ? asset.gzipped : asset.bytes), 200, {
          'content-type': asset.type,
          'cache-control': FOREVER,
          'x-content-type-options': 'nosniff',
          vary: 'accept-encoding',
          ...(isGzipped && { 'content-encoding': 'gzip' }),
        })
      })
    },
  }
}
