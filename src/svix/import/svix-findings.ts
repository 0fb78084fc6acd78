/** Something that is not in Postrider as it is in Svix, and what to do about it. */
export interface Finding {
  /** Of the application, or null for what belongs to all. */
  application: string | null
  /** Id of the endpoint, or name of the event type; null = the application itself. */
  of: string | null
  problem: string
  advice: string
}

/** What no server gives out through its API; said each time. */
export const NEVER_GIVEN: readonly Finding[] = [
  {
    application: null,
    of: null,
    problem: 'keys that were rotated out and still sign are not given out',
    advice: 'rotate none in the week before you change over, or as long as your grace period is',
  },
  {
    application: null,
    of: null,
    problem: 'messages and attempts are not taken over',
    advice: 'let Svix finish what it has, and publish new ones here',
  },
]

export const COLUMNS: readonly (keyof Finding)[] = ['application', 'of', 'problem', 'advice']
