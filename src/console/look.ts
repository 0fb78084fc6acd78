import type { Language } from './language.ts'

/** How the pages of one customer look, and until when they can be seen; undefined = as the service says. */
export interface Look {
  language: Language
  name: string | undefined
  theme: 'light' | 'dark' | undefined
  /** Addresses of a picture and a style sheet of this service. */
  logo: string | undefined
  css: string | undefined
  backUrl: string | undefined
  endsAt: Date
}
