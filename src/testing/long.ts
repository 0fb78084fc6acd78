/**
 * Whether everything runs: `LONG_TESTS=1 npm test`, as `.ci/run` does. Otherwise tests leave out what takes long and
 * differs little from what they keep: other versions of Postgres, further cases of a kind, whole programs under load.
 */
export const isLong = process.env['LONG_TESTS'] === '1'
