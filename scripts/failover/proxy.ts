import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts } from '../../src/testing/servers/free-port.ts'
import type { Cleanup } from '../bench/program.ts'
import type { Node } from './node.ts'
import { startProgram } from './program.ts'

export const HAPROXY = '/usr/sbin/haproxy'

/**
 * Starts HAProxy with the file that is given to operators, on the ports of the nodes, and with the same once more
 * that keeps connections to a server that is no longer the primary, as a Service, a DNS name or a virtual address
 * does.
 */
export async function startProxy(
  cleanup: Cleanup,
  options: { file: string; nodes: Node[]; home: string; folder: string },
): Promise<{ cutting: number; keeping: number }> {
  const [cutting = 0, keeping = 0] = await freePorts(2)
  const text = onPorts(await readFile(options.file, 'utf8'), options.nodes, cutting)
  const start = text.indexOf('listen primary')
  const keepingSection = text
    .slice(start)
    .replace('listen primary', 'listen keeping')
    .replace(`127.0.0.1:${cutting}`, `127.0.0.1:${keeping}`)
    .replace(' on-marked-down shutdown-sessions', '')
  const config = join(options.home, 'haproxy.cfg')
  await writeFile(config, `${text}\n${keepingSection}`, { mode: 0o644 })
  startProgram(cleanup, {
    ...{ name: 'haproxy', command: HAPROXY, args: ['-f', config, '-db'], folder: options.folder },
  })
  return { cutting, keeping }
}

/** @throws when the file has no longer what is replaced */
function onPorts(text: string, nodes: readonly Node[], port: number): string {
  const places: [RegExp, string][] = [
    [/bind 127\.0\.0\.1:\d+/, `bind 127.0.0.1:${port}`],
    ...nodes.map(({ name, port, apiPort }): [RegExp, string] => [
      new RegExp(`server ${name} \\S+ check port \\d+`),
      `server ${name} 127.0.0.1:${port} check port ${apiPort}`,
    ]),
  ]
  for (const [place, replacement] of places) {
    if (!place.test(text)) throw new Error(`haproxy.cfg has no ${place.source}`)
    text = text.replace(place, replacement)
  }
  return text
}
