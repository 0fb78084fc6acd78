import { setTimeout as delay } from 'node:timers/promises'
import { createBar } from '../terminal/bar.ts'
import type { CommandContext } from '../terminal/context.ts'

/** Often enough for a bar that moves, seldom enough for an API that has other things to do. */
const LOOK_EVERY_MS = 500

export interface Replay {
  id: string
  state: 'running' | 'done' | 'cancelled'
  total: number
  done: number
}

/**
 * Waits until a replay is over, with a bar on the terminal. Being asked to stop ends the watching, not the replay.
 *
 * @returns as it was seen last
 */
export async function watchReplay<R extends Replay>(
  context: CommandContext,
  begun: R,
  get: () => Promise<R>,
): Promise<R> {
  const bar = createBar()
  if (context.isWatched) bar.start(begun.total, begun.done)
  let replay = begun
  while (replay.state === 'running' && !context.stopSignal.aborted) {
    await delay(LOOK_EVERY_MS, undefined, { signal: context.stopSignal }).catch(() => undefined)
    replay = await get()
    bar.setTotal(Math.max(replay.total, replay.done))
    bar.update(replay.done)
  }
  bar.stop()
  if (replay.state === 'running') context.note('it continues; see replay show\n')
  return replay
}
