import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSync, Visitor } from 'oxc-parser'
import t from 'tap'

const root = join(import.meta.dirname, '..', '..')

/** Words that people stumble over, and what to write instead: the style guide of CONTRIBUTING.md. */
const AVOID: readonly (readonly [words: RegExp, use: string])[] = [
  [/\b(?:is|are|was|were|be|been|being) made\b(?! (?:of|up)\b)/i, 'created'],
  [/\b(?:is|are|was|were) over\b(?! \d)/i, 'finished, ended'],
  [/\b(?:an|the|its|every|no|last|own) answers?\b/i, 'response'],
  [/\btold\b/i, 'shown, informed'],
  [/\bdial(?:s|led|ling)?\b/i, 'connect to'],
  [/\bwant(?:s|ed)?\b/i, 'subscribes to, needs'],
  [/\bmay\b/, 'can, is allowed to'],
  [/\bby (?:itself|themselves)\b/i, 'automatically'],
  [/\ball the same\b/i, 'still, anyway'],
  [/\bas well\b(?! as\b)/i, 'also, too'],
  [/\bleads? (?:to|there|nowhere)\b/i, 'points to'],
  [/\bforg[eo]t(?:s|ten)?\b/i, 'delete, lose'],
  [/\banew\b/i, 'again'],
  [/\b(?:or|would|who) else\b|\belse:/i, 'otherwise'],
  [/\bfigures\b/i, 'metrics, numbers'],
  [/\bthose (?:that|which|who)\b/i, 'ones, the … that'],
  [/\bhand(?:s|ed|ing)? on\b/i, 'reassign, forward'],
  [/\bmistakes?\b/i, 'error'],
  [/\bwhoever\b/i, 'anyone who'],
  [/\bof its own\b/i, 'separate'],
  [/\bfor ever\b/i, 'forever'],
  [/\b(?:go|goes|going|gone|went) on\b/i, 'continue'],
  [/\bdear(?:er)?\b/i, 'expensive'],
  [/\bunder way\b/i, 'in progress'],
  [/\bof ours\b/i, 'internal'],
  [/\bonly looks?\b|\blooks only\b/i, 'read-only'],
  [/\bthere is no such\b/i, '… not found'],
  [/\bfor so long\b|\bas of now\b|\bfrom now on\b/i, 'name the time'],
  [/\bwhen left out\b|\bunless told otherwise\b/i, 'default: …'],
  [/\bbut for\b|\ball but\b/i, 'except'],
  [/\bis (?:held|written) down\b/i, 'recorded'],
  [/\bbe(?:ar|side)s? (?:in mind|which)\b/i, 'remember, next to'],
  [/\btak(?:e|es|en) (?:back|over) into\b/i, 'resume'],
  [/\btried again\b/i, 'retried'],
]

/** In comments too, which are longer and for readers of the code: the phrases that stop even those. */
const AVOID_IN_CODE = /\b(?:whoever|all the same|of (?:its|their) own|anew)\b/gi

interface Text {
  file: string
  text: string
}

/** The prose of a document: without code, and of links only what is read. */
function proseOf(file: string): Text[] {
  const prose = readFileSync(join(root, file), 'utf8')
    .replaceAll(/^ *```.*?^ *```$/gms, '')
    .replaceAll(/`[^`]*`/g, '`…`')
    .replaceAll(/\]\([^)]*\)/g, ']')
    .replaceAll(/<!-- .*? -->/gs, '')
  return prose
    .split(/\n\n|\n(?=[|*-] )/)
    .map((text) => ({ file, text: text.replaceAll('\n', ' ') }))
}

/** A text that people read has words; SQL, class names and patterns are none. */
const isProse = (text: string): boolean =>
  /[A-Za-z]{2,}[,.:]? [A-Za-z]{2,}/.test(text) &&
  !/^\s*(?:select|insert|update|delete|with|create|grant|alter|set|begin|lock|analyze|drop|from|where|and|or|order|listen|revoke)\b[^.]*[(=;*]|\$\d|::|postrider\.\w+/.test(
    text,
  )

/** What a source file says to people: its strings, templates and the text between tags. */
function stringsOf(file: string): Text[] {
  const found: string[] = []
  const { program } = parseSync(file, readFileSync(join(root, file), 'utf8'))
  const sources = new Set<unknown>()
  new Visitor({
    ImportDeclaration: ({ source }) => void sources.add(source),
    Literal: (literal) => {
      if (typeof literal.value === 'string' && !sources.has(literal)) found.push(literal.value)
    },
    TemplateLiteral: ({ quasis }) => {
      found.push(quasis.map(({ value }) => value.cooked).join('…'))
    },
    JSXText: ({ value }) => void found.push(value),
  }).visit(program)
  return found
    .filter(isProse)
    .map((text) => ({ file, text: text.replaceAll(/\s+/g, ' ').replaceAll(/`[^`]*`/g, '`…`') }))
}

/** What SQL says when it refuses something. */
function messagesOf(file: string): Text[] {
  const text = readFileSync(join(root, file), 'utf8')
  const messages = text.matchAll(/\b(?:message|detail|hint) = (?:format\()?'((?:[^']|'')*)'/g)
  return [...messages].map(([, message = '']) => ({ file, text: message }))
}

/** What `\d+` and `\df+` show of tables, columns and functions. */
function commentsOf(file: string): Text[] {
  const text = readFileSync(join(root, file), 'utf8')
  const comments = text.matchAll(/^comment on [^;]*?\bis\s+'((?:[^']|'')*)';/gm)
  return [...comments].map(([, comment = '']) => ({ file, text: comment }))
}

function complaints(texts: readonly Text[]): string[] {
  return texts.flatMap(({ file, text }) =>
    AVOID.flatMap(([words, use]) => {
      const [found] = words.exec(text) ?? []
      return found === undefined
        ? []
        : [`${file}: “${found}” → ${use}: ${text.trim().slice(0, 160)}`]
    }),
  )
}

const inRoot = (...patterns: string[]) => globSync(patterns, { cwd: root }).toSorted()

t.test('documents are in plain English', async (t) => {
  const documents = inRoot('{README,CONTRIBUTING,SECURITY,GLOSSARY}.md', '{docs,deploy}/**/*.md')
  t.strictSame(complaints(documents.flatMap(proseOf)), [])
})

t.test('messages of the program are in plain English', async (t) => {
  const files = inRoot('src/**/*.{ts,tsx}').filter(
    (file) => !/\.test\.tsx?$|^src\/(?:testing|system)\//.test(file),
  )
  t.strictSame(complaints(files.flatMap(stringsOf)), [])
})

t.test('messages of SQL functions are in plain English', async (t) => {
  t.strictSame(complaints(inRoot('sql/functions/**/*.sql').flatMap(messagesOf)), [])
})

t.test('descriptions of tables, columns and functions are in plain English', async (t) => {
  const comments = inRoot('sql/**/*.sql').flatMap(commentsOf)
  t.ok(comments.length > 800)
  t.strictSame(complaints(comments), [])
})

t.test('comments and names of tests have no phrases that stop a reader', async (t) => {
  const own = join('src', 'system', 'words.test.ts')
  const files = inRoot('{src,sql,scripts}/**/*.{ts,tsx,sql,js,sh}').filter((file) => file !== own)
  const found = files.flatMap((file) =>
    [...readFileSync(join(root, file), 'utf8').matchAll(AVOID_IN_CODE)].map(
      ([phrase]) => `${file}: ${phrase}`,
    ),
  )
  t.strictSame(found, [])
})
