import type { Context, Hono } from 'hono'
import { auditName, type Caller, hashApiKey } from '../access/caller.ts'
import { type KeyGuard, TooManyWrongKeys } from '../access/key-guard.ts'
import type { ApiKeys } from '../api-keys/api-keys.ts'
import { EMPTY_FORM, FormMistake, type FormState, TextField } from '../console/fields.tsx'
import { SIGN_IN_BYTES_MAX } from '../console/form-bounds.ts'
import { readForm } from '../console/forms.ts'
import type { RenderPage } from '../console/layout.tsx'
import { Command } from '../console/parts.tsx'
import { findSession, type PageEnv, type SessionCookie } from '../console/viewer.ts'
import type { Sessions } from './sessions.ts'

/** A working day: anyone who leaves a screen open is asked again the next morning. */
const SESSION_SECONDS = 12 * 3_600
/** Ours have 46 characters. */
const KEY_LENGTH_MAX = 256

export interface SignInOptions {
  apiKeys: Pick<ApiKeys, 'verify'>
  sessions: Sessions
  /** Of keys that are typed by people; that of cookies is another. */
  signInGuard: KeyGuard
  keyGuard: KeyGuard
  cookie: SessionCookie
  render: RenderPage
}

export function addSignInRoutes(app: Hono<PageEnv>, options: SignInOptions): void {
  const { apiKeys, sessions, signInGuard, cookie, render } = options

  const verified = async (typed: string, client: string): Promise<Caller | null> => {
    if (typed.length > KEY_LENGTH_MAX) return null
    return await signInGuard.find(client, typed, () => apiKeys.verify(typed))
  }

  app.get('/sign-in', (c) =>
    page(c, render, { ...EMPTY_FORM, values: { to: destination(c.req.query('to')) } }),
  )

  app.post('/sign-in', async (c) => {
    const { key = '', to } = await readForm(c, { bytesMax: SIGN_IN_BYTES_MAX })
    const refuse = (status: 422 | 429, mistake: string) =>
      page(c, render, { values: { to: destination(to) }, mistakes: { key: mistake } }, status)

    const typed = key.trim()
    const { address: client } = c.get('client')
    const caller = await verified(typed, client).catch((error) => {
      if (error instanceof TooManyWrongKeys) return error
      throw error
    })
    if (caller instanceof TooManyWrongKeys) {
      const { retryAfterSeconds: seconds } = caller
      c.header('retry-after', String(seconds))
      return refuse(429, `Too many wrong keys from your address. Try again in ${seconds} seconds.`)
    }
    if (!caller) return refuse(422, 'This key is unknown, expired or revoked.')
    const mistake = mistakeIn(caller)
    if (mistake !== null) return refuse(422, mistake)

    const { token, expiresAt } = await sessions.begin(
      'console',
      hashApiKey(typed),
      SESSION_SECONDS,
      { who: auditName(caller), client },
    )
    cookie.write(c, token, expiresAt)
    return c.redirect(destination(to), 303)
  })

  app.post('/sign-out', async (c) => {
    const found = await findSession(c, { ...options, area: 'console' })
    if (found) {
      const by = { who: auditName(found.caller), client: c.get('client').address }
      await sessions.end(found.session.id, { ...by, action: 'sign_out' })
    }
    cookie.remove(c)
    return c.redirect('/console/sign-in', 303)
  })
}

/** The console shows every tenant, so a key of one has no business here. */
function mistakeIn({ tenant, scopes }: Caller): string | null {
  if (tenant)
    return 'This key is bound to one tenant. The console takes a key that is bound to none.'
  if (!scopes.has('read') && !scopes.has('admin')) {
    return 'This key lacks the scope “read”. The console takes a key with “read” or “admin”.'
  }
  return null
}

/** Only a page of ours: an address from a link could lead anywhere. */
function destination(to: string | undefined): string {
  const isOurs = to !== undefined && /^\/console(?:[/?][!-~]*)?$/.test(to) && !to.includes('\\')
  return isOurs ? to : '/console'
}

function page(
  c: Context<PageEnv>,
  render: RenderPage,
  form: FormState,
  status: 200 | 422 | 429 = 200,
) {
  return render(
    c,
    { title: 'Sign in', status },
    <section class="narrow">
      <h1>Sign in</h1>
      <FormMistake form={form} />
      <form method="post" action="/console/sign-in" class="stack">
        <input type="hidden" name="to" value={form.values['to'] ?? ''} />
        <TextField
          form={form}
          name="key"
          label="API key"
          type="password"
          required
          autocomplete="current-password"
          hint="One with the scope admin may do everything, one with read only looks."
        />
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
      <h2>Where is my key?</h2>
      <p>
        <code>npm start</code> prints the admin key on its first run, and keeps it in a file:
      </p>
      <Command>cat .postrider/admin-key</Command>
      <p>
        A service has it in <code>POSTRIDER_ADMIN_KEY</code>. Anyone who has it makes keys for
        others:
      </p>
      <Command>{'postrider key create "Ann, support" --scopes read'}</Command>
    </section>,
  )
}
