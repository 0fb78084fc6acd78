import { EventEmitter, on } from 'node:events'
import { createLog, type Log } from '../log.ts'

export interface LogLines {
  log: Log
  /** All lines so far. */
  lines: Record<string, unknown>[]
  /** The first line of this name that the condition holds for, past or future. Rejects after `timeoutMs`. */
  line(
    name: string,
    condition?: (line: Record<string, unknown>) => boolean,
    timeoutMs?: number,
  ): Promise<Record<string, unknown>>
}

/** Longer than anything a test waits for. */
const LINE_MS_MAX = 30_000

/** A log whose lines a test can read and wait for. */
export function createTestLog(): LogLines {
  const lines: Record<string, unknown>[] = []
  const emitter = new EventEmitter()
  const log = createLog('debug', {
    write(text: string) {
      const line = JSON.parse(text)
      lines.push(line)
      emitter.emit('line', line)
    },
  })
  return {
    log,
    lines,
    async line(name, condition = () => true, timeoutMs = LINE_MS_MAX) {
      const fits = (line: Record<string, unknown>) => line['msg'] === name && condition(line)
      const known = lines.find(fits)
      if (known) return known
      for await (const [line] of on(emitter, 'line', { signal: AbortSignal.timeout(timeoutMs) })) {
        if (fits(line)) return line
      }
      throw new Error(`no line ${name}`)
    },
  }
}
