import { say } from '../console/language.ts'
import type { Area } from '../console/viewer.ts'
import type { EventTypeOutline, EventTypes } from './event-types.ts'

/** Of the check boxes, before the pattern that each stands for. */
const PREFIX = 'type:'

/** As many as there can be. */
const TYPES_MAX = 1_000

/** What customers choose from; operators type what they mean. */
export const typesToChoose = async (
  area: Area,
  { outline }: Pick<EventTypes, 'outline'>,
): Promise<EventTypeOutline[]> => (area === 'portal' ? await outline({ limit: TYPES_MAX }) : [])

/** A name, or the part of names before a dot, and what is below it. */
interface Branch {
  /** What it subscribes to: a name, or `order.*` for all below. */
  pattern: string
  type?: EventTypeOutline
  below: Branch[]
}

/** Types grouped by the dots of their names; a group of one is that one. */
export function branchesOf(types: readonly EventTypeOutline[], depth = 1): Branch[] {
  const groups = Map.groupBy(types, ({ name }) => name.split('.').slice(0, depth).join('.'))
  return [...groups].flatMap(([prefix, inside]): Branch[] => {
    const own = inside.filter(({ name }) => name === prefix)
    const longer = inside.filter(({ name }) => name !== prefix)
    const leaves = [...own, ...(longer.length === 1 ? longer : [])]
    const found = leaves.map((type): Branch => ({ pattern: type.name, type, below: [] }))
    if (longer.length < 2) return found
    return [...found, { pattern: `${prefix}.*`, below: branchesOf(longer, depth + 1) }]
  })
}

/** The catalogue to choose from: one type, or a whole branch with what will be added to it. */
export function TypeTree(props: {
  types: readonly EventTypeOutline[]
  chosen: ReadonlySet<string>
}) {
  const { types, chosen } = props
  return (
    <fieldset class="field">
      <legend>{say('Choose from the catalogue')}</legend>
      <Branches of={branchesOf(types)} chosen={chosen} />
    </fieldset>
  )
}

function Branches({ of, chosen }: { of: readonly Branch[]; chosen: ReadonlySet<string> }) {
  return (
    <ul>
      {of.map(({ pattern, type, below }) => (
        <li>
          <Choice of={pattern} isChosen={chosen.has(pattern)} />
          {type && <About type={type} />}
          {below.length > 0 && <Branches of={below} chosen={chosen} />}
        </li>
      ))}
    </ul>
  )
}

function Choice({ of: pattern, isChosen }: { of: string; isChosen: boolean }) {
  return (
    <label class="check">
      <input type="checkbox" name={`${PREFIX}${pattern}`} value="yes" checked={isChosen} />
      <code>{pattern}</code>
    </label>
  )
}

/** Schema and example stand on the page of the type, which opens next to the form. */
function About({ type: { name, description, deprecated_at: since } }: { type: EventTypeOutline }) {
  return (
    <p class="hint">
      {description} {since && `${say('Deprecated.')} `}
      <a
        href={`/portal/event-types/${encodeURIComponent(name)}`}
        target="_blank"
        rel="noopener"
        aria-label={say('Schema and example of {name}', { name })}
      >
        {say('Schema and example')}
      </a>
    </p>
  )
}

/** Every pattern that the tree has a box for. */
export function patternsIn(branches: readonly Branch[]): string[] {
  return branches.flatMap(({ pattern, below }) => [pattern, ...patternsIn(below)])
}

/** What a form says, with the boxes of the tree among its event types. */
export function withTree(values: Record<string, string>): Record<string, string> {
  const boxes = Object.keys(values).filter((name) => name.startsWith(PREFIX))
  if (boxes.length === 0) return values
  const others = Object.entries(values).filter(([name]) => !name.startsWith(PREFIX))
  const chosen = boxes.map((name) => name.slice(PREFIX.length))
  const typed = (values['eventTypes'] ?? '').split(/[\s,]+/).filter(Boolean)
  const eventTypes = [...new Set([...typed, ...chosen])].join('\n')
  return { ...Object.fromEntries(others), eventTypes }
}

/** What is chosen of the tree, and what stays to be typed. */
export function splitTree(types: readonly EventTypeOutline[], eventTypes = '') {
  const all = eventTypes.split(/[\s,]+/).filter(Boolean)
  const known = new Set(patternsIn(branchesOf(types)))
  const chosen = new Set(all.filter((pattern) => known.has(pattern)))
  // What was typed comes back as it was, with its line breaks.
  if (chosen.size === 0) return { chosen, typed: eventTypes }
  return {
    chosen,
    typed: all.filter((pattern) => !known.has(pattern)).join('\n'),
  }
}
