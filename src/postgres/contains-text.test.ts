import { sql } from 'kysely'
import t from 'tap'
import { createTestDatabase } from '../testing/wiring/database.ts'
import { containsText } from './contains-text.ts'
import { createDatabase, createPool } from './pool.ts'

const { pool, url, name } = await createTestDatabase(t)

/** One whose locale knows no letters but those of ASCII. */
const plain = `${name}_c`
await pool.query(`create database ${plain} template template0 locale 'C' encoding 'UTF8'`)
const poolOfPlain = createPool({
  connectionString: Object.assign(new URL(url), { pathname: plain }).href,
  max: 1,
  applicationName: 'contains text',
})
t.teardown(async () => {
  await poolOfPlain.end()
  await pool.query(`drop database ${plain} with (force)`)
})

/** Each is found in the other, whichever is looked for. */
const SAME = [
  ['Müller', 'MÜLLER'],
  ['Mu\u0308ller', 'MÜLLER'],
  ['mu\u0308ller', 'MU\u0308LLER'],
  ['ΌΔΟΣ', 'όδος'],
  ['Σίσυφος', 'ΣΊΣΥΦΟΣ'],
  ['ПРИВЕТ', 'привет'],
  ['Straẞe', 'Straße'],
  // Issue 14, 17: what people write in capitals was not found.
  ['STRASSE', 'Straße'],
  ['Strasse', 'STRAẞE'],
  ['Grüße', 'GRÜSSE'],
  ['Maßstab', 'MASSSTAB'],
  ['address', 'ADDREß'],
  ['ßß', 'SSSS'],
  ['100 % (ß)', '100 % (SS)'],
  ['sße', 'SẞE'],
  ['Flussschiff', 'Flußschiff'],
  ['sß', 'SSS'],
  ['sßs', 'ßß'],
  ['sßßßs', 'ßßßß'],
  ['ßßsßs', 'SSSSSSSS'],
  ['ß\u0301', 'ẞ\u0301'],
  ['ŁÓDŹ', 'łódź'],
  ['Tiếng Việt', 'TIẾNG VIỆT'],
  ['Tie\u0302\u0301ng', 'TIẾNG'],
  ['ՀԱՅ', 'հայ'],
  ['ǅungla', 'ǆungla'],
  ['\u{10400}', '\u{10428}'],
  ['100 K\u03a9', '100 k\u2126'],
  ['5 \u00b5m', '5 \u03bcM'],
  ['😀 OK', '😀 ok'],
  ['日本', '日本'],
  ['a.b*c+(é)[x]{2}|^$?\\', 'A.B*C+(É)[X]{2}|^$?\\'],
  ["it's “é”", "IT'S “É”"],
  ['***:é', '***:É'],
  ['%_\\ plain', '%_\\ PLAIN'],
] as const

const DIFFERENT = [
  ['Müller', 'Muller'],
  ['muller', 'müller'],
  ['Strase', 'Straße'],
  ['Straße', 'Strase'],
  ['s\u0323s', 'ß'],
  ['ss\u0323', 'ß'],
  ['ßs', 'ßß'],
  ['Masss', 'Maßß'],
  // More than eight in a row are compared eight at a time.
  ['ßßßßs', 'sßßßß'],
  ['a.é', 'axé'],
  ['a%c', 'abc'],
  ['é|x', 'x'],
  ['日本', '日'],
] as const

for (const [locale, of] of [
  ['of the server', pool],
  ['C', poolOfPlain],
] as const) {
  const database = createDatabase(of)
  const finds = async (text: string, within: string) => {
    const column = sql`${`before ${within} after`}::text`
    const query = sql<{ found: boolean }>`select ${containsText(column, [text])} as found`
    return (await query.execute(database)).rows[0]?.found
  }
  t.test(`text is found as people read it, in the locale ${locale}`, async (t) => {
    for (const [one, other] of SAME) {
      for (const [text, within] of [
        [one, other],
        [other, one],
        [one, one],
      ] as const) {
        t.equal(await finds(text, within), true, `${text} in ${within}`)
      }
    }
    for (const [text, within] of DIFFERENT) {
      t.equal(await finds(text, within), false, `${text} in ${within}`)
    }
    t.equal(await finds('sßßßß', 'sßßßß'), true, 'more than eight in a row find themselves')
    t.equal(await finds('s'.repeat(200), 'S'.repeat(200)), true, 'and as many as there may be')
    t.equal(await finds(`${'x'.repeat(199)}é`, `${'X'.repeat(199)}É`), true)
    t.equal(await finds('é'.repeat(200), 'É'.repeat(200)), true, 'of the greatest length')
  })
}

t.test('any of several texts will do', async (t) => {
  const database = createDatabase(pool)
  for (const texts of [
    ['no', 'plain'],
    ['nö', 'plain'],
  ]) {
    const query = sql<{
      found: boolean
    }>`select ${containsText(sql`'plain'::text`, texts)} as found`
    t.equal((await query.execute(database)).rows[0]?.found, true)
  }
})
