import { Presets, SingleBar } from 'cli-progress'

/** A bar for work that takes long; nothing is drawn until it is started. */
export const createBar = (): SingleBar =>
  new SingleBar(
    // Without a terminal it would write nothing but line ends.
    { format: ' {bar} {percentage}% | {value}/{total} | {eta_formatted} left', noTTYOutput: false },
    Presets.shades_classic,
  )
