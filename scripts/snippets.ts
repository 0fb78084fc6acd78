/** Runs the code that receivers are given to check signatures, in every language that is installed: `npm run snippets`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SNIPPETS, type Snippet } from '../src/secrets/verify-snippets.ts'
import { sign } from '../src/sending/signature.ts'
import { findProgram } from '../src/testing/programs.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const ID = '01981e6a-0000-7000-8000-000000000001'
const BODY = '{"type":"invoice.paid","data":{"name":"Zoë – 7 €"}}'
/** A first build fetches crates. */
const RUN_MS_MAX = 300_000

interface Way {
  /** Programs that it takes. */
  needs: readonly string[]
  /** What calls the function with the arguments of the program, and prints true or false. */
  main: string
  /** Has the code, and the call below it. */
  file: string
  /** More files. */
  more?: Record<string, string>
  /** Replaces something of the code for a program of one file. */
  adapt?: (code: string) => string
  build?: readonly string[]
  run: readonly string[]
}

const WAYS: Record<string, Way> = {
  mjs: {
    needs: ['node'],
    file: 'verify.mjs',
    main: '\nconsole.log(verify(...process.argv.slice(2)))',
    run: ['node', 'verify.mjs'],
  },
  py: {
    needs: ['python3'],
    file: 'verify.py',
    main: '\nimport sys\nprint(str(verify(*sys.argv[1:5], sys.argv[5].encode())).lower())',
    run: ['python3', 'verify.py'],
  },
  go: {
    needs: ['go'],
    file: 'verify.go',
    adapt: (code) =>
      code.replace('package webhook', 'package main').replace('import (', 'import (\n"fmt"\n"os"'),
    main: 'func main() { a := os.Args; fmt.Println(Verify(a[1], a[2], a[3], a[4], []byte(a[5]))) }',
    build: ['go', 'build', '-o', 'verify', 'verify.go'],
    run: ['./verify'],
  },
  rb: {
    needs: ['ruby'],
    file: 'verify.rb',
    main: '\nputs verify(*ARGV)',
    run: ['ruby', 'verify.rb'],
  },
  php: {
    needs: ['php'],
    file: 'verify.php',
    main: "\necho verify(...array_slice($argv, 1)) ? 'true' : 'false';",
    run: ['php', 'verify.php'],
  },
  java: {
    needs: ['javac', 'java'],
    file: 'Webhook.java',
    main: `class Main { public static void main(String[] a) throws Exception {
      System.out.println(Webhook.verify(a[0], a[1], a[2], a[3], a[4].getBytes(StandardCharsets.UTF_8))); } }`,
    build: ['javac', '-encoding', 'UTF-8', 'Webhook.java'],
    run: ['java', '-Dsun.jnu.encoding=UTF-8', '-Dfile.encoding=UTF-8', 'Main'],
  },
  cs: {
    needs: ['dotnet'],
    file: 'Webhook.cs',
    main: 'class Program { static void Main(string[] a) => Console.WriteLine(Webhook.Verify(a[0], a[1], a[2], a[3], a[4]) ? "true" : "false"); }',
    more: {
      'snippet.csproj':
        '<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net8.0</TargetFramework></PropertyGroup></Project>',
    },
    build: ['dotnet', 'build', '-o', 'out'],
    run: ['./out/snippet'],
  },
  rs: {
    needs: ['cargo'],
    file: 'verify.rs',
    main: `fn main() { let a: Vec<String> = std::env::args().collect();
      println!("{}", verify(&a[1], &a[2], &a[3], &a[4], a[5].as_bytes())); }`,
    more: {
      'Cargo.toml':
        '[package]\nname = "snippet"\nversion = "0.1.0"\nedition = "2021"\n[[bin]]\nname = "snippet"\npath = "verify.rs"\n[dependencies]\nbase64 = "0.22"\nhmac = "0.12"\nsha2 = "0.10"\n',
    },
    build: ['cargo', 'build', '--quiet'],
    run: ['./target/debug/snippet'],
  },
  exs: {
    needs: ['elixir'],
    file: 'verify.exs',
    main: '\n[a, b, c, d, e] = System.argv()\nIO.puts(Webhook.verify(a, b, c, d, e))',
    run: ['elixir', 'verify.exs'],
  },
}

/** Names of cases, and what a function that works says to each. */
function casesAt(now: number): { name: string; args: string[]; expected: boolean }[] {
  const signed = (timestampSeconds: number, secret = SECRET) =>
    sign({ secrets: [secret], id: ID, timestampSeconds, body: Buffer.from(BODY) })
  const at = String(now)
  const good = signed(now)
  const other = signed(now, 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA')
  const of = (timestamp: string, signatures: string, body = BODY) => [
    SECRET,
    ID,
    timestamp,
    signatures,
    body,
  ]
  return [
    { name: 'right', args: of(at, good), expected: true },
    { name: 'right among others', args: of(at, `${other} v1a,abc ${good}`), expected: true },
    { name: 'of another secret', args: of(at, other), expected: false },
    { name: 'of another body', args: of(at, good, `${BODY} `), expected: false },
    { name: 'old', args: of(String(now - 600), signed(now - 600)), expected: false },
    { name: 'of the future', args: of(String(now + 600), signed(now + 600)), expected: false },
    { name: 'without a time', args: of('soon', good), expected: false },
    { name: 'cut off', args: of(at, good.slice(0, -3)), expected: false },
    { name: 'beyond ASCII', args: of(at, `${good.slice(0, -1)}é`), expected: false },
    { name: 'with a digit that is no number', args: of('²', good), expected: false },
  ]
}

/** @returns what is wrong; null = the language is not installed */
export function runSnippet({ extension, code }: Snippet): string[] | null {
  const way = WAYS[extension]
  if (!way) throw new Error(`nobody has said how ${extension} is run`)
  if (!way.needs.every(findProgram)) return null
  const folder = mkdtempSync(join(tmpdir(), 'snippet-'))
  const options = { cwd: folder, encoding: 'utf8', timeout: RUN_MS_MAX } as const
  const call = ([program = '', ...args]: readonly string[], more: string[] = []) =>
    execFileSync(program, [...args, ...more], options).trim()
  try {
    const text = `${way.adapt?.(code) ?? code}${way.main}\n`
    for (const [name, content] of Object.entries({ [way.file]: text, ...way.more })) {
      writeFileSync(join(folder, name), content)
    }
    if (way.build) call(way.build)
    return casesAt(Math.floor(Date.now() / 1_000)).flatMap(({ name, args, expected }) => {
      const said = call(way.run, args)
      return said === String(expected) ? [] : [`${name}: ${said}`]
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function runAll(): void {
  for (const snippet of SNIPPETS) {
    const wrong = runSnippet(snippet)
    const said = wrong === null ? 'not installed' : wrong.length === 0 ? 'ok' : wrong.join('; ')
    process.stdout.write(`${snippet.name}: ${said}\n`)
    if (wrong && wrong.length > 0) process.exitCode = 1
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) runAll()
