import { say } from '../console/language.ts'
import { Badge, Body, Facts, Raw, Time } from '../console/parts.tsx'
import { shownText } from '../console/shown-text.ts'
import type { DescribedType } from './describe-type.ts'
import type { EventType, EventTypeVersion } from './event-types.ts'

/**
 * What there is to know before an endpoint subscribes to it.
 *
 * @param props.isEdited the page has a form with the schema
 */
export function Described(props: DescribedType & { isEdited?: boolean }) {
  const { type, example, versions, isEdited = false } = props
  return (
    <>
      <Facts
        of={[
          ['Description', type.description || '–'],
          ['State', <TypeState of={type} />],
          ['Version', versions[0] !== undefined && String(versions[0].version)],
          ['Created', <Time at={type.created_at} />],
          ['Changed', <Time at={type.updated_at} />],
        ]}
      />
      {example !== null && (
        <>
          <h2>{say('What a receiver gets')}</h2>
          <Body of={example} label={say('Example')} />
        </>
      )}
      {!isEdited && (
        <>
          <h2>{say('Schema')}</h2>
          <Schema of={type.schema} label={say('Schema')} />
        </>
      )}
      <Earlier versions={versions.slice(1)} />
    </>
  )
}

export const TypeState = ({ of: type }: { of: Pick<EventType, 'deprecated_at'> }) =>
  type.deprecated_at ? <Badge of="off" label="Deprecated" /> : <Badge of="active" />

function Schema({ of: schema, label }: { of: unknown; label: string }) {
  const text = schema === null ? say('any data') : shownText(JSON.stringify(schema)).text
  return <Raw label={label}>{text}</Raw>
}

/** The schemas before that of today. */
function Earlier({ versions }: { versions: readonly EventTypeVersion[] }) {
  if (versions.length === 0) return null
  return (
    <>
      <h2>{say('Earlier versions')}</h2>
      {versions.map(({ version, schema, created_at: since }) => (
        <details>
          <summary>
            {say('Version {version}', { version })} · <Time at={since} />
          </summary>
          <Schema of={schema} label={say('Schema of version {version}', { version })} />
        </details>
      ))}
    </>
  )
}
