/**
 * Lists what a run of tests took by file, from tap's raw output: `npm run test-times`.
 *
 * A file's time is that between its start and its end, next to others. What it would take alone is less: what
 * is waited for goes on meanwhile, and the processor is shared. Files that share a process are listed by themselves.
 */
import { readFileSync } from 'node:fs'
import { Parser, type Result } from 'tap-parser'
import { TOGETHER } from '../src/testing/process/together-folder.ts'

const [, , file = '.tap/run.tap'] = process.argv

const files: { name: string; seconds: number }[] = []
const parser = new Parser({}, (results) => {
  const total = files.reduce((sum, { seconds }) => sum + seconds, 0)
  for (const { name, seconds } of files.sort((a, b) => b.seconds - a.seconds)) {
    console.log(`${seconds.toFixed(1).padStart(7)} s  ${name}`)
  }
  const run = ((results.time ?? 0) / 1000).toFixed(1)
  console.log(`${total.toFixed(1).padStart(7)} s  in ${files.length} files; the run took ${run} s`)
})
const note = ({ name, time }: Result) => {
  if (!name.startsWith(TOGETHER)) files.push({ name, seconds: (time ?? 0) / 1000 })
}
parser.on('assert', note)
parser.on('child', (child) => {
  if (child.name.startsWith(TOGETHER)) child.on('assert', note)
})
parser.end(readFileSync(file, 'utf8'))
