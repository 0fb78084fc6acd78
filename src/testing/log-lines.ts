import { createLog, type Log } from '../log.ts'

export interface LogLine {
  level: string
  msg: string
  [field: string]: unknown
}

export interface LogLines {
  log: Log
  /** All lines so far. */
  lines: LogLine[]
  /** Names of the events so far, in order. */
  names(): string[]
  /** Resolves once the event was logged `count` times. */
  logged(name: string, count?: number): Promise<void>
  /** The first line of this name that the condition holds for, past or future. */
  line(name: string, condition?: (line: LogLine) => boolean): Promise<LogLine>
}

/** A log whose lines can be read, and waited for; the test's own timeout bounds the waiting. */
export function captureLog(): LogLines {
  const lines: LogLine[] = []
  let more = Promise.withResolvers<void>()
  const write = (text: string) => {
    lines.push(JSON.parse(text))
    more.resolve()
    more = Promise.withResolvers()
  }
  const until = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find()
      if (found !== undefined) return found
      await more.promise
    }
  }
  return {
    log: createLog('debug', { write }),
    lines,
    names: () => lines.map(({ msg }) => msg),
    logged: (name, count = 1) =>
      until(() =>
        lines.filter(({ msg }) => msg === name).length >= count ? null : undefined,
      ).then(() => undefined),
    line: (name, condition = () => true) =>
      until(() => lines.find((line) => line.msg === name && condition(line))),
  }
}
