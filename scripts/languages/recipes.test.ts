import t from 'tap'
import { PRODUCERS, RECEIVERS } from './recipes.ts'
import { WAYS } from './ways.ts'

// Running them takes compilers and libraries: `npm run test:languages`.
t.test('every recipe of the pages is run, and every way has its recipes', async (t) => {
  const producers = WAYS.map(({ name }) => name)
  const receivers = new Set(WAYS.map(({ name, receiver }) => receiver ?? name))
  t.strictSame([...PRODUCERS.keys()].sort(), producers.toSorted())
  t.strictSame([...RECEIVERS.keys()].sort(), [...receivers].sort())
})
