import { readdir, readFile } from 'node:fs/promises'

/** Linux counts processor time in these for `/proc`, whatever the kernel was built with. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

/** Names of parts of a system and the processes that each consists of, their children included. */
export type Watched = Record<string, readonly number[]>

export interface Usage {
  cpuSeconds: number
  /** Its own memory. Pages that the processes of a Postgres share count in each of them. */
  rssBytes: number
}

interface Stat extends Usage {
  pid: number
  parent: number
}

/** What each part has used so far. Where there is no `/proc` it is nothing. */
export async function usageOf(watched: Watched): Promise<Record<string, Usage>> {
  const stats = await readStats()
  const parts = Object.entries(watched).map(([name, roots]) => {
    const members = stats.filter((stat) => isIn(stat, roots, stats))
    return [name, { cpuSeconds: sum(members, 'cpuSeconds'), rssBytes: sum(members, 'rssBytes') }]
  })
  return Object.fromEntries(parts)
}

const sum = (stats: Stat[], key: keyof Usage) => stats.reduce((total, stat) => total + stat[key], 0)

function isIn(stat: Stat, roots: readonly number[], stats: Stat[]): boolean {
  for (let at: Stat | undefined = stat; at; at = stats.find(({ pid }) => pid === at?.parent)) {
    if (roots.includes(at.pid)) return true
  }
  return false
}

async function readStats(): Promise<Stat[]> {
  const names = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const stats = await Promise.all(names.map(readStat))
  return stats.filter((stat) => stat !== null)
}

/** Children that have ended count with the parent that waited for them. */
async function readStat(name: string): Promise<Stat | null> {
  const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => null)
  if (text === null) return null
  // The name of the program is in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const field = (number: number) => Number(fields[number - 3]) // numbered as in proc(5)
  const ticks = field(14) + field(15) + field(16) + field(17)
  return {
    pid: Number(name),
    parent: field(4),
    cpuSeconds: ticks / TICKS_PER_SECOND,
    rssBytes: field(24) * PAGE_BYTES,
  }
}

/** CPU per event between two readings, in milliseconds. */
export function cpuMsPerEvent(
  before: Record<string, Usage>,
  after: Record<string, Usage>,
  events: number,
): Record<string, number> {
  const parts = Object.entries(after).map(([name, { cpuSeconds }]) => {
    const ms = (cpuSeconds - (before[name]?.cpuSeconds ?? 0)) * 1000
    return [name, round(ms / Math.max(1, events), 3)]
  })
  return Object.fromEntries(parts)
}

export function rssMb(usage: Record<string, Usage>): Record<string, number> {
  const parts = Object.entries(usage).map(([name, { rssBytes }]) => [
    name,
    round(rssBytes / 1_048_576, 0),
  ])
  return Object.fromEntries(parts)
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
