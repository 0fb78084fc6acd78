import { z } from 'zod'
import { ConfigError, readConfig } from '../../config/config.ts'
import type { TenantId } from '../../ids.ts'
import { createDatabase } from '../../postgres/pool.ts'
import { urlOfOne } from '../../postgres/servers.ts'
import { createEndpointSecrets } from '../../secrets/endpoint-secrets.ts'
import { createSecretBox } from '../../secrets/secrets.ts'
import { egressRules } from '../../sending/egress.ts'
import { generateSecret } from '../../sending/signature.ts'
import { createBar } from '../../terminal/bar.ts'
import type { CommandContext } from '../../terminal/context.ts'
import { onDatabase } from '../../terminal/database.ts'
import { UsageError } from '../../terminal/exit-code.ts'
import { renderTable } from '../../terminal/output.ts'
import { readContent } from '../../terminal/request.ts'
import { COLUMNS, type Finding, NEVER_GIVEN } from './svix-findings.ts'
import { createSvixImport, type Fate, type GivenParts, type SvixImport } from './svix-import.ts'
import { createSvixSource, type SourceApplication, type SvixSource } from './svix-source.ts'

export interface ImportOptionsGiven {
  url?: string
  application?: string[]
  given?: string
  apply?: true
  json?: true
}

/** Something was refused, and the rest was taken over; or the work was ended before all was read. */
export class ImportIncomplete extends Error {
  override readonly name = 'ImportIncomplete'
  readonly code = 'import_incomplete'
}

type Counts = Record<'eventTypes' | 'applications' | 'endpoints', Record<Fate, number>>

interface Report {
  isApplied: boolean
  counts: Counts
  findings: Finding[]
}

const givenFile = z.record(
  z.string(),
  z.strictObject({
    secret: z.string().optional(),
    headers: z.record(z.string(), z.string()).optional(),
  }),
)

/** @throws ConfigError, UsageError, SvixSourceFailed, ImportIncomplete */
export async function runSvixImport(
  context: CommandContext,
  options: ImportOptionsGiven,
): Promise<void> {
  const config = readConfig(context.env, 'runner')
  const source = createSvixSource({ ...serverOf(context, options), signal: context.stopSignal })
  const given = await readGiven(context, options.given)
  const databaseUrl = await urlOfOne(config.databaseDirectUrl ?? config.databaseUrl)
  const report: Report = { isApplied: options.apply === true, counts: noCounts(), findings: [] }
  await onDatabase({ databaseUrl, applicationName: 'postrider import' }, async (pool) => {
    const database = createDatabase(pool)
    const box = createSecretBox(config.secretEncryptionKeys)
    const target = createSvixImport({
      database,
      secrets: createEndpointSecrets({ database, box, generateSecret }),
      rules: { egressAllow: egressRules(config), httpsOnly: config.httpsOnly },
      apply: report.isApplied,
      onFinding: (finding) => report.findings.push(finding),
    })
    await takeOver(context, { source, target, given, report, only: options.application })
  })
  report.findings.push(...NEVER_GIVEN)
  context.print(options.json ? `${JSON.stringify(report)}\n` : render(report))
  refuseIncomplete(context, report)
}

/** The token comes from the environment only: others on the machine see command lines. */
function serverOf({ env }: CommandContext, { url: given }: ImportOptionsGiven) {
  const url = given ?? env['SVIX_SERVER_URL']
  const token = env['SVIX_TOKEN']
  const mistakes = [
    ...(url && URL.canParse(url)
      ? []
      : ['--url or SVIX_SERVER_URL is not the URL of a Svix server']),
    ...(token ? [] : ['SVIX_TOKEN is not set: the API token of the Svix server']),
  ]
  if (!url || !token || mistakes.length > 0) throw new ConfigError(mistakes)
  return { url, token }
}

async function readGiven(
  context: CommandContext,
  file: string | undefined,
): Promise<Map<string, GivenParts>> {
  if (file === undefined) return new Map()
  const text = await readContent(context, file, '--given')
  try {
    return new Map(Object.entries(givenFile.parse(JSON.parse(text))))
  } catch (error) {
    // What is in the file is secret, so the message says none of it.
    const message = `--given ${file} is not JSON such as {"ep_…": {"secret": "whsk_…", "headers": {"Authorization": "…"}}}`
    throw new UsageError(message, { cause: error })
  }
}

interface Work {
  source: SvixSource
  target: SvixImport
  given: Map<string, GivenParts>
  report: Report
  only: string[] | undefined
}

/** Event types come first, since they are asked for by endpoints. With a bar on the terminal. */
async function takeOver({ isWatched, stopSignal }: CommandContext, work: Work): Promise<void> {
  const { source, target, report } = work
  for await (const type of source.eventTypes()) {
    report.counts.eventTypes[await target.eventType(type)] += 1
  }
  const applications = await chosenOf(work)
  const bar = createBar()
  if (isWatched) bar.start(applications.length, 0)
  try {
    for (const application of applications) {
      if (stopSignal.aborted) return
      await takeApplication(work, application)
      bar.increment()
    }
  } finally {
    bar.stop()
  }
}

/** @throws UsageError for one that is not there */
async function chosenOf({ source, only }: Work): Promise<SourceApplication[]> {
  const all: SourceApplication[] = []
  for await (const application of source.applications()) all.push(application)
  if (only === undefined) return all
  return only.map((named) => {
    const found = all.find(({ id, uid }) => id === named || uid === named)
    if (!found) throw new UsageError(`--application ${named} is no application of the server`)
    return found
  })
}

async function takeApplication(work: Work, application: SourceApplication): Promise<void> {
  const { target, report } = work
  const { fate, tenantId } = await target.application(application)
  report.counts.applications[fate] += 1
  if (fate === 'refused') return
  await takeEndpoints(work, application, tenantId)
}

async function takeEndpoints(
  { source, target, given, report }: Work,
  application: SourceApplication,
  tenantId: TenantId | null,
): Promise<void> {
  for await (const endpoint of source.endpoints(application.id)) {
    const headers = await source.headers(application.id, endpoint.id)
    const key = await source.secret(application.id, endpoint.id)
    // Deleted while it was read.
    if (headers === null || key === null) continue
    const parts = given.get(endpoint.id) ?? {}
    const of = { application, endpoint, headers, key, given: parts }
    report.counts.endpoints[await target.endpoint(tenantId, of)] += 1
  }
}

function noCounts(): Counts {
  const none = () => ({ new: 0, there: 0, refused: 0 })
  return { eventTypes: none(), applications: none(), endpoints: none() }
}

const NOUNS = [
  ['eventTypes', 'event types'],
  ['applications', 'applications'],
  ['endpoints', 'endpoints'],
] as const

function render({ isApplied, counts, findings }: Report): string {
  const rows = NOUNS.map(([noun, what]) => ({ what, ...counts[noun] }))
  const said = isApplied
    ? 'taken over from Svix:\n'
    : 'a preview; nothing was written. What --apply would take over:\n'
  const list = renderTable(
    COLUMNS,
    findings.map((finding) => ({ ...finding })),
  )
  return `${said}${renderTable(['what', 'new', 'there', 'refused'], rows)}\nnot as it is in Svix, and what to do:\n${list}`
}

/** @throws ImportIncomplete */
function refuseIncomplete({ stopSignal }: CommandContext, { counts, isApplied }: Report): void {
  if (stopSignal.aborted) throw new ImportIncomplete('stopped; run it again to continue')
  const refused = NOUNS.reduce((sum, [noun]) => sum + counts[noun].refused, 0)
  if (refused === 0 || !isApplied) return
  throw new ImportIncomplete(`${refused} were not taken over; the list says why`)
}
