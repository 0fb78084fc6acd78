import type { Child } from 'hono/jsx'
import { AttemptCharts } from '../attempts/attempt-charts.tsx'
import type { AttemptRates } from '../attempts/attempt-rates.ts'
import type { Marker } from '../console/chart.tsx'
import { factsOf } from '../console/facts.tsx'
import { FormMistake, type FormState } from '../console/fields.tsx'
import { FormFields } from '../console/form-fields.tsx'
import { phrase, say, sayAny, sayMistake, sayNumber, type Text } from '../console/language.ts'
import { Command, Confirm, Countdown, Facts, Id, Notice, Time } from '../console/parts.tsx'
import type { Area, Viewer } from '../console/viewer.ts'
import { RecoverForm } from '../replays/recover.pages.tsx'
import { type presentSecrets, rotationFields } from '../secrets/endpoint-secret.fields.ts'
import { SNIPPETS } from '../secrets/verify-snippets.ts'
import { TenantLink } from '../tenants/tenant.pages.tsx'
import { type Endpoint, endpointFields, presentEndpoint } from './endpoint.fields.ts'
import { EndpointState } from './endpoint-state.tsx'
import { type FoundEndpoint, OPEN_COUNTED_MAX, type OpenDeliveries } from './endpoints.ts'

export interface Shown {
  area: Area
  endpoint: FoundEndpoint
}

type Secrets = ReturnType<typeof presentSecrets>

export function SecretNotice({ secrets }: { secrets: Secrets }) {
  return (
    <Notice tone="good">
      <p>{say('Signing secret')}:</p>
      <SecretShown of={secrets} what="the secret" />
      {secrets.publicKey !== null && (
        <>
          <p>{say('Receivers verify with its public key:')}</p>
          <Command what="the public key">{secrets.publicKey}</Command>
        </>
      )}
      {secrets.publicKey === null && secrets.encoding === 'base64' && <VerifyCode />}
      {secrets.expiring.map((secret) => (
        <>
          <p>
            {phrase('The previous secret also signs until {time}:', {
              time: <Time at={secret.expiresAt} />,
            })}
          </p>
          <SecretShown of={secret} what="the previous secret" />
        </>
      ))}
    </Notice>
  )
}

/** Where the secret is copied, so that it is verified at once; one language is open at a time. */
function VerifyCode() {
  return (
    <>
      <p>{say('Verify every request with it:')}</p>
      {SNIPPETS.map(({ name, code }) => (
        <details name="verify">
          <summary>{name}</summary>
          <Command what={say('the code for {name}', { name })}>{code}</Command>
        </details>
      ))}
    </>
  )
}

type ShownSecret = Pick<Secrets, 'secret' | 'encoding' | 'warning'>

function SecretShown({ of, what }: { of: ShownSecret; what: string }) {
  return (
    <>
      <Command what={what}>{of.secret}</Command>
      <p>
        {sayAny(READ_AS[of.encoding])} {of.warning && sayMistake(of.warning)}
      </p>
    </>
  )
}

const READ_AS: Record<Secrets['encoding'], string> = {
  base64: 'The key is the base64 after the prefix, decoded.',
  base64url: 'The key is the URL-safe base64, decoded.',
  hex: 'The key is the hex digits, decoded.',
  text: 'The key is the text as shown.',
}

export function Actions({
  area,
  endpoint,
  viewer,
  rotation,
  types,
}: Shown & { viewer: Viewer; rotation: FormState; types: readonly string[] }) {
  if (!viewer.may('manage')) return null
  const path = `/${area}/endpoints/${endpoint.id}`
  return (
    <div class="actions">
      <a class="button" href={`${path}/edit`}>
        {say('Edit')}
      </a>
      <TestForm path={path} types={types} />
      <form method="post" action={`${path}/secret`}>
        <button type="submit">{say('Show secret')}</button>
      </form>
      <Confirm
        label="Rotate"
        action={`${path}/rotate`}
        question="A new secret is created. The old one also signs for a day, so that receivers can change over."
        yes="Rotate secret"
        isOpen={Object.keys(rotation.mistakes).length > 0}
      >
        <FormMistake form={rotation} />
        <FormFields form={rotation} of={rotationFields} />
      </Confirm>
      <Service endpoint={endpoint} path={path} />
      {area === 'portal' && <RecoverForm endpointId={endpoint.id} />}
      <Confirm
        label="Delete"
        action={`${path}/delete`}
        question="Its open deliveries are cancelled. This cannot be undone."
        yes="Delete endpoint"
        isDangerous
      />
    </div>
  )
}

/** An example of a type that is described, or of none. */
function TestForm({ path, types }: { path: string; types: readonly string[] }) {
  return (
    <form method="post" action={`${path}/test`} class="row">
      {types.length > 0 && (
        <select name="type" aria-label={say('Type of the test event')}>
          <option value="">postrider.test</option>
          {types.map((type) => (
            <option value={type}>{type}</option>
          ))}
        </select>
      )}
      <button type="submit">{say('Send a test event')}</button>
    </form>
  )
}

/** Takes it out of service, or back. */
function Service({ endpoint, path }: { endpoint: Endpoint; path: string }) {
  switch (endpoint.state) {
    case 'active':
      return (
        <Confirm
          label="Pause"
          action={`${path}/pause`}
          question="Deliveries are held until you resume the endpoint."
          yes="Pause endpoint"
        />
      )
    case 'paused':
      return (
        <Confirm
          label="Resume"
          action={`${path}/resume`}
          question="Held deliveries are sent."
          yes="Resume endpoint"
        />
      )
    case 'disabled':
      return (
        <Confirm
          label="Enable"
          action={`${path}/enable`}
          question="New events are sent to the endpoint again."
          yes="Enable endpoint"
        >
          <label class="check">
            <input type="checkbox" name="held" value="cancel" />{' '}
            {say('Cancel held deliveries instead of sending them')}
          </label>
        </Confirm>
      )
    default:
      return endpoint.state satisfies never
  }
}

export function State({ area, endpoint, open }: Shown & { open: OpenDeliveries }) {
  const sum = open.pending + open.delivering + open.held + open.waiting
  const counts: readonly (readonly [Text, number])[] = [
    ['{count} pending', open.pending],
    ['{count} being sent', open.delivering],
    ['{count} held', open.held],
    ...(open.waiting > 0 ? [['{count} waiting for their turn', open.waiting] as const] : []),
  ]
  const said = counts.map(([text, count]) => say(text, { count: sayNumber(count) })).join(', ')
  const { disabled_reason: disabledReason } = endpoint
  const facts: [name: string, value: Child][] = [
    ['State', <EndpointState {...endpoint} />],
    ['Disabled because', disabledReason && sayMistake(disabledReason)],
    ['Held because', endpoint.unreadable_since && <Unreadable {...endpoint} area={area} />],
    [
      'Tenant',
      area === 'console' && <TenantLink of={endpoint.tenantKey} name={endpoint.tenantName} />,
    ],
    ['Failures in a row', sayNumber(endpoint.failures)],
    ['Failing since', <Time at={endpoint.failingSince} />],
    ['Rejected since its last success', endpoint.refusals > 0 && <Refusals {...endpoint} />],
    ['Circuit', <Circuit {...endpoint} />],
    ['Open', sum >= OPEN_COUNTED_MAX ? say('{counts} or more', { counts: said }) : said],
    ['Endpoint', <Id of={endpoint.id} />],
    ['UID', endpoint.uid && <Id of={endpoint.uid} />],
    ['Svix ID', endpoint.svix_id && <Id of={endpoint.svix_id} />],
    ['Created', <Time at={endpoint.created_at} />],
    ['Changed', <Time at={endpoint.updated_at} />],
  ]
  return <Facts of={facts} />
}

function Unreadable({ area, ...endpoint }: FoundEndpoint & { area: Area }) {
  const time = <Time at={endpoint.unreadable_since} />
  if (area === 'portal') {
    return (
      <>
        {phrase(
          'its secret or client key cannot be decrypted, since {time}. Its deliveries wait. Contact the operator of the service.',
          { time },
        )}
      </>
    )
  }
  return (
    <>
      no key of the service opens its secret or client key, since {time}:{' '}
      {endpoint.unreadable_detail}. Give the runners that key, then{' '}
      <code>postrider secrets release</code>, or rotate the secret with no overlap.
    </>
  )
}

function Refusals({ refusals, refusingSince }: FoundEndpoint) {
  const time = <Time at={refusingSince} />
  if (refusals === 1)
    return <>{phrase('1 attempt since {time}: it responds, but rejects this event', { time })}</>
  return (
    <>
      {phrase('{count} attempts since {time}: it responds, but rejects these events', {
        count: sayNumber(refusals),
        time,
      })}
    </>
  )
}

function Circuit({ circuitOpenedAt, probeAt }: FoundEndpoint) {
  if (!circuitOpenedAt) return <>{say('closed: deliveries are sent')}</>
  return (
    <>
      {phrase('open since {time}: deliveries are held, except for a probe {when}', {
        time: <Time at={circuitOpenedAt} />,
        when: probeAt ? <Countdown to={probeAt} /> : say('in progress'),
      })}
    </>
  )
}

export function Health(props: AttemptRates & Shown & { markers: Marker[] | undefined }) {
  const { countedSince, endpoint, area } = props
  const { circuitOpenedAt } = endpoint
  const open = circuitOpenedAt ? [{ at: circuitOpenedAt, label: 'backing off' }] : []
  return (
    <>
      {countedSince && <CountedSince time={countedSince} />}
      <AttemptCharts
        {...props}
        markers={props.markers ?? open}
        rangeHref={`/${area}/deliveries?endpoint=${endpoint.id}`}
      />
    </>
  )
}

function CountedSince({ time }: { time: Date }) {
  return (
    <p class="muted">
      {phrase('There are many attempts: only those since {time} are counted.', {
        time: <Time at={time} />,
      })}
    </p>
  )
}

/** What holds for endpoints that do not say otherwise. */
export interface EndpointDefaults {
  timeoutSeconds: number
  retrySchedule: readonly number[]
}

export function Settings({
  endpoint,
  defaults,
}: {
  endpoint: Endpoint
  defaults: EndpointDefaults
}) {
  return <Facts of={factsOf(endpointFields, presentEndpoint(endpoint), defaults)} />
}
