import t from 'tap'
import { SNIPPETS } from '../src/secrets/verify-snippets.ts'
import { runSnippet } from './snippets.ts'

t.test('there is code for at least nine languages, each once', async (t) => {
  const extensions = new Set(SNIPPETS.map(({ extension }) => extension))
  t.ok(extensions.size >= 9)
  t.equal(extensions.size, SNIPPETS.length)
})

// The others take compilers, and run by `npm run snippets`.
for (const extension of ['mjs', 'py']) {
  t.test(`the code for ${extension} takes right signatures and no others`, async (t) => {
    const snippet = SNIPPETS.find((one) => one.extension === extension)
    if (!snippet) throw new Error('it is gone')
    const wrong = runSnippet(snippet)
    if (extension === 'mjs') t.ok(wrong, 'Node is always there')
    t.strictSame(wrong ?? [], [])
  })
}

t.test('code that takes everything would be noticed', async (t) => {
  const code = 'export const verify = () => true'
  t.equal(runSnippet({ name: 'Node.js', extension: 'mjs', code })?.length, 8)
})
