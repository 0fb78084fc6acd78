import { Presets, SingleBar } from 'cli-progress'

export interface Progress {
  /** How much of `total` is done. */
  update(done: number): void
  stop(): void
}

/** A bar on stderr while somebody watches; nothing when stderr is a file or a pipe. */
export function startProgress(label: string, total: number): Progress {
  if (!process.stderr.isTTY) return { update: () => undefined, stop: () => undefined }
  const bar = new SingleBar(
    {
      stream: process.stderr,
      format: `${label.padEnd(28)} {bar} {percentage} % | {value}/{total} | {eta_formatted}`,
      clearOnComplete: true,
      hideCursor: true,
      fps: 4, // drawing costs the cores that are measured
    },
    Presets.shades_classic,
  )
  bar.start(total, 0)
  return { update: (done) => bar.update(Math.min(done, total)), stop: () => bar.stop() }
}
