import type { Child } from 'hono/jsx'
import { say, sayAny, sayTime, type Text } from '../console/language.ts'
import { stateLabel } from '../console/parts.tsx'
import type { StripAttempt } from './attempt-strips.ts'
import { spanOf } from './attempt-words.ts'
import type { Attempt } from './attempts.ts'

const [BAR, GAP, HEIGHT] = [4, 1, 16]
/** Lower than the others: what is bad stands out without its colour. */
const GOOD_HEIGHT = 8

/** The last attempts of an endpoint, oldest first; a bar each, which is high where it failed. */
export function AttemptStrip({ of: attempts = [] }: { of: readonly StripAttempt[] | undefined }) {
  if (attempts.length === 0) return null
  const failed = attempts.filter(({ outcome }) => isBad(outcome)).length
  const width = attempts.length * (BAR + GAP)
  return (
    <svg
      class="strip"
      viewBox={`0 0 ${width} ${HEIGHT}`}
      width={width}
      height={HEIGHT}
      role="img"
      aria-label={say('{failed} of the last {count} attempts failed', {
        failed,
        count: attempts.length,
      })}
    >
      {attempts.map((attempt, at) => {
        const height = isBad(attempt.outcome) ? HEIGHT : GOOD_HEIGHT
        return (
          <rect
            class={toneOf(attempt.outcome)}
            x={at * (BAR + GAP)}
            y={HEIGHT - height}
            width={BAR}
            height={height}
          >
            <title>{titleOf(attempt)}</title>
          </rect>
        )
      })}
    </svg>
  )
}

const isBad = (outcome: StripAttempt['outcome']): boolean => toneOf(outcome) === 'bad'

function toneOf(outcome: StripAttempt['outcome']): 'good' | 'bad' | 'off' {
  if (outcome === 'delivered') return 'good'
  return ['rejected', 'unreachable', 'blocked'].includes(outcome) ? 'bad' : 'off'
}

function titleOf({ outcome, statusCode, startedAt }: StripAttempt): string {
  const status = statusCode === null ? '' : `, HTTP ${statusCode}`
  return `${sayAny(stateLabel(outcome))}${status}, ${sayTime(startedAt)}`
}

const [LINE_WIDTH, LINE_HEIGHT, RADIUS] = [640, 28, 9]
/** Attempts are never drawn closer, so that each can be read and pressed. */
const STEP_MIN = 22
/** As many as have room; of more, the last ones are drawn. */
export const LINE_ATTEMPTS_MAX = Math.floor((LINE_WIDTH - 2 * RADIUS) / STEP_MIN)

/** The attempts of a delivery on a line of time; each leads to its place on the page. */
export function AttemptLine({ attempts }: { attempts: readonly Attempt[] }) {
  const shown = attempts.slice(-LINE_ATTEMPTS_MAX)
  if (shown.length < 2) return null
  const places = placesOf(shown.map(({ started_at: at }) => at.getTime()))
  return (
    <nav aria-label={say('Attempts over time')}>
      <Line>
        {shown.map((attempt, at) => (
          <LinePoint attempt={attempt} x={places[at] ?? 0} />
        ))}
      </Line>
    </nav>
  )
}

function Line({ children }: { children: Child }) {
  return (
    <svg
      class="strip line"
      viewBox={`0 0 ${LINE_WIDTH} ${LINE_HEIGHT}`}
      width={LINE_WIDTH}
      height={LINE_HEIGHT}
      aria-label={say('Attempts over time')}
    >
      <line x1={RADIUS} x2={LINE_WIDTH - RADIUS} y1={LINE_HEIGHT / 2} y2={LINE_HEIGHT / 2} />
      {children}
    </svg>
  )
}

function LinePoint({ attempt, x }: { attempt: Attempt; x: number }) {
  const { number, outcome, status_code: statusCode, started_at: startedAt } = attempt
  const title = `${say('Attempt {number}', { number })}: ${titleOf({ outcome, statusCode, startedAt })}`
  return (
    <a href={`#attempt-${number}`} aria-label={title}>
      <title>{title}</title>
      <circle class={toneOf(outcome)} cx={x} cy={LINE_HEIGHT / 2} r={RADIUS} />
      <text x={x} y={LINE_HEIGHT / 2 + 4}>
        {number}
      </text>
    </a>
  )
}

/**
 * Where on the line each time stands: in proportion, as far as each keeps its distance to the one before.
 *
 * @param times in ascending order, at most `LINE_ATTEMPTS_MAX`
 */
export function placesOf(times: readonly number[]): number[] {
  const [first = 0, last = 0] = [times[0], times.at(-1)]
  const length = LINE_WIDTH - 2 * RADIUS
  const spare = length - STEP_MIN * (times.length - 1)
  return times.map((time, at) => {
    const share = last > first ? (time - first) / (last - first) : 0
    return Math.round(RADIUS + at * STEP_MIN + share * spare)
  })
}

const [PHASES_WIDTH, PHASES_HEIGHT] = [320, 8]
/** What took next to nothing can still be seen and pointed at. */
const PHASE_WIDTH_MIN = 2

/** A part of an attempt, in the order of time. */
export interface Phase {
  name: Text
  ms: number
}

/** Such as “DNS 2 ms”. */
export const phaseInWords = ({ name, ms }: Phase): string => `${say(name)} ${spanOf(ms)}`

/** How the time of an attempt went, in proportion; the words stand beside it. */
export function TimingBar({ of: phases }: { of: readonly Phase[] }) {
  const widths = widthsOf(phases.map(({ ms }) => ms))
  if (phases.length < 2) return null
  return (
    <svg
      class="strip timing"
      viewBox={`0 0 ${PHASES_WIDTH} ${PHASES_HEIGHT}`}
      width={PHASES_WIDTH}
      height={PHASES_HEIGHT}
      aria-hidden="true"
    >
      {phases.map((phase, at) => (
        <rect
          x={widths.slice(0, at).reduce((sum, width) => sum + width, 0)}
          width={widths[at]}
          height={PHASES_HEIGHT}
          fill-opacity={(at + 1) / phases.length}
        >
          <title>{phaseInWords(phase)}</title>
        </rect>
      ))}
    </svg>
  )
}

/** Together the whole bar, however short some of them are. */
export function widthsOf(times: readonly number[]): number[] {
  const sum = times.reduce((total, ms) => total + ms, 0)
  const spare = PHASES_WIDTH - PHASE_WIDTH_MIN * times.length
  return times.map((ms) => Math.round(PHASE_WIDTH_MIN + (sum > 0 ? (ms / sum) * spare : 0)))
}
