import { access } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Contender } from '../measure/contest.ts'
import { startChild } from '../processes.ts'
import type { Cleanup } from '../program.ts'
import { answers, isFree } from './ports.ts'
import type { Server } from './server.ts'
import type { Target } from './target.ts'

export interface PeerOptions {
  server: Server
  /** With `run.sh`, which starts the system in the foreground, and `adapter.mjs`: see {@link Target}. */
  folder: string
  /** Of the Redis that the peer uses, which is started for it; 0 starts none. */
  redisPort: number
}

/** Another system to be measured like ours, on the same Postgres. */
export async function peer({ server, folder, redisPort }: PeerOptions): Promise<Contender> {
  const path = resolve(folder)
  await access(join(path, 'run.sh'))
  const adapter: Target = await import(pathToFileURL(join(path, 'adapter.mjs')).href)
  return {
    name: basename(path),
    async start(cleanup, _receiver, run) {
      await assertFree(new URL(adapter.url).port)
      const env = libpqEnvironment(await server.createDatabase(run))
      const redis = redisPort === 0 ? [] : [await startRedis(cleanup, server, redisPort, run)]
      const system = startChild(cleanup, {
        name: run,
        command: '/bin/sh',
        args: ['run.sh'],
        cwd: path,
        env,
        logFile: join(server.folder, `${run}.log`),
        isGroup: true,
      })
      await Promise.race([answers(adapter.url, { any: true }), system.failed])
      const postgres = server.pid === null ? {} : { postgres: [server.pid] }
      const watched = { system: [system.pid], redis, ...postgres }
      return { target: adapter, watched, failed: system.failed }
    },
  }
}

/** Anyone who answers there would be measured instead. */
async function assertFree(port: string): Promise<void> {
  if (!(await isFree(Number(port)))) throw new Error(`port ${port} is in use`)
}

/** Its append-only file reaches the disk every second, as queues in Redis are usually run. */
async function startRedis(
  cleanup: Cleanup,
  { folder }: Server,
  port: number,
  run: string,
): Promise<number> {
  await assertFree(String(port))
  const durability = ['--save', '', '--appendonly', 'yes', '--appendfsync', 'everysec']
  const place = ['--dir', folder, '--appenddirname', `redis-${run}`]
  const redis = startChild(cleanup, {
    name: 'redis-server',
    command: 'redis-server',
    args: ['--port', `${port}`, '--bind', '127.0.0.1', ...durability, ...place],
    env: {},
    logFile: join(folder, `redis-${run}.log`),
  })
  return redis.pid
}

function libpqEnvironment(url: string): Record<string, string> {
  const { hostname, port, username, password, pathname } = new URL(url)
  return {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: decodeURIComponent(username),
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
  }
}
