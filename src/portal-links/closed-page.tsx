import type { Context } from 'hono'
import { inLanguage, languageOf, say } from '../console/language.ts'
import type { RenderPage } from '../console/layout.tsx'
import type { PageEnv } from '../console/viewer.ts'

/** Nobody knows the link any more, so it speaks the language of the browser. */
export function closedPage(c: Context<PageEnv>, render: RenderPage) {
  const language = languageOf(c.req.header('accept-language')) ?? 'en'
  return inLanguage(language, async () =>
    render(c, { title: say('This page is closed'), status: 401 }, <Closed />),
  )
}

function Closed() {
  return (
    <section class="narrow">
      <h1>{say('This page is closed')}</h1>
      <p>
        {say(
          'It opens with a link, for a limited time. The link has expired or was revoked, or you have signed out.',
        )}
      </p>
      <p>
        {say(
          'Go back to where you found it and open it again. If it does not stay open there, your browser probably blocks cookies for this address.',
        )}
      </p>
    </section>
  )
}
