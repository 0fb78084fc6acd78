import { z } from 'zod'
import { ConfigError, readConfig } from '../../config/config.ts'
import { createEndpointOperations } from '../../endpoints/endpoint-operations.ts'
import { createEndpoints } from '../../endpoints/endpoints.ts'
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
import {
  createSvixSource,
  type SourceApplication,
  type SourceEndpoint,
  type SvixSource,
} from './svix-source.ts'

export interface ImportOptionsGiven {
  url?: string
  application?: string[]
  given?: string
  apply?: true
  withDeleted?: true
  json?: true
}

/** Something was refused, and the rest was taken over; or the work was ended before all was read. */
class ImportIncomplete extends Error {
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
  const session = { databaseUrl, applicationName: 'postrider import' }
  const failure = await onDatabase(session, async (pool) => {
    const database = createDatabase(pool)
    const box = createSecretBox(config.secretEncryptionKeys)
    const secrets = createEndpointSecrets({ database, box, generateSecret })
    const target = createSvixImport({
      ...{ database, secrets },
      endpoints: createEndpoints({ database, secrets, hasPublicUrl: false }),
      endpointOperations: createEndpointOperations({ database }),
      rules: { egressAllow: egressRules(config), httpsOnly: config.httpsOnly },
      apply: report.isApplied,
      withDeleted: options.withDeleted === true,
      onFinding: (finding) => report.findings.push(finding),
    })
    return await failureOf(
      takeOver(context, { source, target, given, report, only: options.application }),
    )
  })
  // What was found until then is not lost; of a server that cannot be read at all there is nothing to say.
  if (failure === null || !isEmpty(report)) {
    report.findings.push(...NEVER_GIVEN)
    context.print(options.json ? `${JSON.stringify(report)}\n` : render(report))
  }
  refuseIncomplete(context, report, failure)
}

interface Failure {
  error: unknown
}

const failureOf = (work: Promise<void>): Promise<Failure | null> =>
  work.then(
    () => null,
    (error: unknown) => ({ error }),
  )

const isEmpty = ({ counts, findings }: Report): boolean =>
  findings.length === 0 &&
  Object.values(counts).every((fates) => Object.values(fates).every((count) => count === 0))

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
    reportUnread(work)
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
  if (fate === 'refused' || fate === 'deleted') return
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
    const parts = given.get(endpoint.id)
    // Each stands for one endpoint, and what is left over stands for none.
    given.delete(endpoint.id)
    if (headers === null || key === null) {
      report.findings.push(goneMeanwhile(application, endpoint))
      continue
    }
    const of = { application, endpoint, headers, key, given: parts ?? {} }
    report.counts.endpoints[await target.endpoint(tenantId, of)] += 1
  }
}

const goneMeanwhile = ({ id, uid }: SourceApplication, endpoint: SourceEndpoint): Finding => ({
  application: uid ?? id,
  of: endpoint.id,
  problem: 'is not taken over: its headers or its secret are not found',
  advice: 'run this again if it is still in Svix: it was probably deleted meanwhile',
})

function reportUnread({ given, report }: Work): void {
  const unread = [...given.keys()].map((of) => ({
    ...{
      application: null,
      of,
      problem: 'is in the file of --given, and no endpoint that was read',
    },
    advice: 'write the id as Svix does (ep_…), and name its application if you give --application',
  }))
  report.findings.push(...unread)
}

function noCounts(): Counts {
  const none = () => ({ new: 0, there: 0, completed: 0, deleted: 0, refused: 0 })
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
  return `${said}${renderTable(['what', 'new', 'there', 'completed', 'deleted', 'refused'], rows)}\nnot as it is in Svix, and what to do:\n${list}`
}

/** @throws ImportIncomplete, or what the work failed with */
function refuseIncomplete(
  { stopSignal }: CommandContext,
  { counts, isApplied }: Report,
  failure: Failure | null,
): void {
  if (stopSignal.aborted) throw new ImportIncomplete('stopped; run it again to continue')
  if (failure !== null) throw failure.error
  const refused = NOUNS.reduce((sum, [noun]) => sum + counts[noun].refused, 0)
  if (refused === 0 || !isApplied) return
  throw new ImportIncomplete(`${refused} were not taken over; the list says why`)
}
