import type { Context, Hono } from 'hono'
import { auditName, type Caller, hashApiKey, holds } from '../access/caller.ts'
import { type KeyGuard, TooManyWrongKeys } from '../access/key-guard.ts'
import type { ApiKeys } from '../api-keys/api-keys.ts'
import { EMPTY_FORM, FormMistake, type FormState, TextField } from '../console/fields.tsx'
import { readForm, SIGN_IN_BYTES_MAX } from '../console/forms.ts'
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
  app.get('/sign-in', (c) => signInPage(c, options))
  app.post('/sign-in', (c) => signIn(c, options))
  app.post('/sign-out', (c) => signOut(c, options))
}

const signInPage = (c: Context<PageEnv>, { render }: SignInOptions) =>
  page(c, render, { ...EMPTY_FORM, values: { to: destination(c.req.query('to')) } })

async function signIn(c: Context<PageEnv>, options: SignInOptions) {
  const { key = '', to } = await readForm(c, { bytesMax: SIGN_IN_BYTES_MAX })
  const refuse = (status: 422 | 429, mistake: string) =>
    page(c, options.render, { values: { to: destination(to) }, mistakes: { key: mistake } }, status)
  const typed = key.trim()
  const caller = await verified(c, options, typed).catch((error) => {
    if (error instanceof TooManyWrongKeys) return error
    throw error
  })
  if (caller instanceof TooManyWrongKeys) {
    const { retryAfterSeconds: seconds } = caller
    c.header('retry-after', String(seconds))
    return refuse(
      429,
      `Too many wrong keys from your address. Try again in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`,
    )
  }
  if (!caller) return refuse(422, 'This key is unknown, expired or revoked.')
  const mistake = mistakeIn(caller)
  if (mistake !== null) return refuse(422, mistake)
  await beginSession(c, options, typed, caller)
  return c.redirect(destination(to), 303)
}

async function verified(
  c: Context<PageEnv>,
  { apiKeys, signInGuard }: SignInOptions,
  typed: string,
): Promise<Caller | null> {
  if (typed.length > KEY_LENGTH_MAX) return null
  return await signInGuard.find(c.get('client').address, typed, () => apiKeys.verify(typed))
}

async function beginSession(
  c: Context<PageEnv>,
  { sessions, cookie }: SignInOptions,
  key: string,
  caller: Caller,
) {
  const by = { who: auditName(caller), client: c.get('client').address }
  const hash = hashApiKey(key)
  const { token, expiresAt } = await sessions.begin('console', hash, SESSION_SECONDS, by)
  cookie.write(c, token, expiresAt)
}

async function signOut(c: Context<PageEnv>, options: SignInOptions) {
  const found = await findSession(c, { ...options, area: 'console' })
  if (found) {
    const by = { who: auditName(found.caller), client: c.get('client').address }
    await options.sessions.end(found.session.id, { ...by, action: 'sign_out' })
  }
  options.cookie.remove(c)
  return c.redirect('/console/sign-in', 303)
}

/** The console shows every tenant, so a key of one has no business here. */
function mistakeIn(caller: Caller): string | null {
  if (caller.tenant)
    return 'This key is bound to one tenant. The console takes a key that is bound to none.'
  if (!holds(caller, 'read')) {
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
          hint="admin keys have full access; read keys are read-only."
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
