/** What a test file imports as `tap` where it runs together with others: its own test. See `together.ts`. */
import { testOf } from './together.ts'

// biome-ignore lint/style/noDefaultExport: tap has one, and test files import it
export default testOf(new URL(import.meta.url).searchParams.get('file') ?? '')
