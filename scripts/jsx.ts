/** Run by every test before its own file: `node --import ./scripts/jsx.ts`. */
import { loadJsx } from '../src/console/load-jsx.ts'

loadJsx()
