import type { Operation, Schema } from './examples.ts'

/** One operation and everything that a sample needs of it. */
interface Call {
  method: string
  /** With `{placeholders}`. */
  path: string
  /** With values in their place. */
  filledPath: string
  parameters: Record<string, string>
  /** Undefined = none. */
  body: unknown
  needsKey: boolean
  /** Whether the answer is JSON, or empty. */
  isJson: boolean
}

/** Stands for the ids of a path. */
const ID = '019c5c2e-7a4b-7c3d-8e2f-5a6b7c8d9e0f'
const BY_PARAMETER: Record<string, string> = { tenant: 'acme', name: 'invoice.paid' }

/**
 * The operation as a program would call it, in the form that viewers of OpenAPI documents know as `x-codeSamples`.
 * Each reads the address and the key from `POSTRIDER_URL` and `POSTRIDER_API_KEY`.
 */
export function codeSamples(method: string, path: string, operation: Operation) {
  const call = callOf(method, path, operation)
  return [
    { lang: 'shell', label: 'curl', source: curl(call) },
    { lang: 'typescript', label: 'TypeScript', source: typescript(call) },
    { lang: 'python', label: 'Python', source: python(call) },
    { lang: 'go', label: 'Go', source: go(call) },
  ]
}

function callOf(method: string, path: string, operation: Operation): Call {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const parameters = Object.fromEntries(names.map((name) => [name, BY_PARAMETER[name] ?? ID]))
  const [, success] =
    Object.entries(operation.responses ?? {}).find(([status]) => status < '300') ?? []
  const types = Object.keys((success as Schema | undefined)?.['content'] ?? {})
  return {
    method: method.toUpperCase(),
    path,
    filledPath: path.replace(/\{(\w+)\}/g, (_, name) => parameters[name] ?? ''),
    parameters,
    body: contentOf(operation.requestBody)['application/json']?.['example'],
    needsKey: operation.security?.length !== 0,
    isJson: types.length === 0 || types.includes('application/json'),
  }
}

const contentOf = (body: Operation['requestBody']): Record<string, Schema> =>
  body && 'content' in body ? body.content : {}

function curl({ method, filledPath, body, needsKey }: Call): string {
  const lines = [`curl -sS -X ${method} "$POSTRIDER_URL${filledPath}"`]
  if (needsKey) lines.push('-H "authorization: Bearer $POSTRIDER_API_KEY"')
  if (body !== undefined) {
    const quoted = JSON.stringify(body).replaceAll("'", String.raw`'\''`)
    lines.push("-H 'content-type: application/json'", `-d '${quoted}'`)
  }
  return lines.join(' \\\n  ')
}

function typescript(call: Call): string {
  if (!call.isJson) return typescriptText(call)
  const { method, path, parameters, body } = call
  const parts = [
    ...(Object.keys(parameters).length > 0 ? [`  path: ${JSON.stringify(parameters)},`] : []),
    ...(body === undefined ? [] : [`  body: ${indented(JSON.stringify(body, null, 2), '  ')},`]),
  ]
  const options = parts.length > 0 ? `, {\n${parts.join('\n')}\n}` : ''
  return `import { Postrider } from 'postrider/client'

const { POSTRIDER_URL: url = '', POSTRIDER_API_KEY: apiKey = '' } = process.env
const postrider = new Postrider({ url, apiKey })
const answer = await postrider.request('${method} ${path}'${options})
console.log(answer)`
}

/** What is no JSON, the client of ours does not read. */
function typescriptText({ filledPath, needsKey }: Call): string {
  const headers = needsKey
    ? ', {\n  headers: { authorization: "Bearer " + process.env.POSTRIDER_API_KEY },\n}'
    : ''
  return `const response = await fetch(\`\${process.env.POSTRIDER_URL}${filledPath}\`${headers})
for await (const chunk of response.body ?? []) process.stdout.write(chunk)`
}

function python({ method, filledPath, body, needsKey, isJson }: Call): string {
  const parts = [
    `    "${method}",`,
    `    os.environ["POSTRIDER_URL"] + "${filledPath}",`,
    ...(needsKey
      ? ['    headers={"authorization": "Bearer " + os.environ["POSTRIDER_API_KEY"]},']
      : []),
    ...(body === undefined ? [] : [`    json=${pythonOf(body)},`]),
    ...(isJson ? [] : ['    stream=True,']),
  ]
  const print = isJson
    ? 'print(response.text)'
    : 'for line in response.iter_lines():\n    print(line.decode())'
  return `import os
import requests

response = requests.request(
${parts.join('\n')}
)
response.raise_for_status()
${print}`
}

const PYTHON_WORDS: Record<string, string> = { true: 'True', false: 'False', null: 'None' }

function pythonOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([key, of]) => `${JSON.stringify(key)}: ${pythonOf(of)}`,
    )
    return `{${members.join(', ')}}`
  }
  const text = JSON.stringify(value)
  return PYTHON_WORDS[text] ?? text
}

function go({ method, filledPath, body, needsKey }: Call): string {
  const reader = body === undefined ? 'nil' : 'body'
  const imports = ['fmt', 'io', 'net/http', 'os', ...(body === undefined ? [] : ['strings'])]
  return `package main

import (
${imports.map((name) => `\t"${name}"`).join('\n')}
)

func main() {
${[
  ...(body === undefined ? [] : [`body := strings.NewReader(${goString(JSON.stringify(body))})`]),
  `request, err := http.NewRequest("${method}", os.Getenv("POSTRIDER_URL")+"${filledPath}", ${reader})`,
  'if err != nil {\n\t\tpanic(err)\n\t}',
  ...(needsKey
    ? ['request.Header.Set("Authorization", "Bearer "+os.Getenv("POSTRIDER_API_KEY"))']
    : []),
  ...(body === undefined ? [] : ['request.Header.Set("Content-Type", "application/json")']),
  'response, err := http.DefaultClient.Do(request)',
  'if err != nil {\n\t\tpanic(err)\n\t}',
  'defer response.Body.Close()',
  'fmt.Println(response.Status)',
  'io.Copy(os.Stdout, response.Body)',
]
  .map((line) => `\t${line}`)
  .join('\n')}
}`
}

const goString = (text: string) => (text.includes('`') ? JSON.stringify(text) : `\`${text}\``)

const indented = (text: string, by: string) => text.replaceAll('\n', `\n${by}`)
