import { ksuidOf, uuidOfKsuid } from '../ksuid.ts'

/** What stands before the ids of each kind: applications, endpoints, messages, attempts and tasks. */
export type SvixPrefix = 'app' | 'ep' | 'msg' | 'atmpt' | 'qtask'

/** An id as Svix writes it. It says the same as the UUID, so nothing has to be stored. */
export const svixId = (prefix: SvixPrefix, uuid: string): string => `${prefix}_${ksuidOf(uuid)}`

/** The UUID behind an id that was made of one; null for what is no such id, among them ids that Svix made. */
export function uuidOf(prefix: SvixPrefix, text: string): string | null {
  return text.startsWith(`${prefix}_`) ? uuidOfKsuid(text.slice(prefix.length + 1)) : null
}

/** The id that is shown: the one that a Svix server gave, for those who have it in their own tables, or else ours. */
export const shownSvixId = (
  prefix: SvixPrefix,
  { id, svix_id: given }: { id: string; svix_id: string | null },
): string => given ?? svixId(prefix, id)

const UID = /^[A-Za-z0-9._-]{1,256}$/

/** What is wrong with a uid, in words; null = nothing. One that looks like an id could stand for two things. */
export function mistakeInUid(prefix: SvixPrefix, uid: string): string | null {
  if (!UID.test(uid)) return 'is not a uid: 1 to 256 of letters, digits and . _ -'
  return uid.startsWith(`${prefix}_`) ? `begins with ${prefix}_, as ids do` : null
}
