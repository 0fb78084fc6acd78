/** What Svix answers and Postrider does not, and never will by accident: a route of ours comes first. */
const REFUSED: readonly [path: RegExp, what: string][] = [
  [/^\/app\/[^/]+\/integration(\/|$)/, 'integrations'],
  [/^\/app\/[^/]+\/(poller|sink|destination)(\/|$)/, 'pollers and sinks'],
  [/^\/app\/[^/]+\/inbound(\/|$)/, 'inbound messages'],
  [
    /^\/app\/[^/]+\/endpoint\/[^/]+\/(transformation|oauth|mtls|jwt)/,
    'transformations, OAuth, mTLS and JWT',
  ],
  [/^\/app\/[^/]+\/endpoint\/[^/]+\/bulk-replay$/, 'bulk replays; use recover'],
  [/^\/app\/[^/]+\/endpoint\/[^/]+\/replay-missing$/, 'replays of what was missed; use recover'],
  [/^\/app\/[^/]+\/msg\/(bulk-expunge|expunge-all-contents)$/, 'expunging many messages at once'],
  [/^\/app\/[^/]+\/msg\/precheck(\/|$)/, 'prechecks'],
  [/^\/app\/[^/]+\/event-type(\/|$)/, 'event types of one application'],
  [/^\/auth\/app\/[^/]+\/expire-all$/, 'the expiry of all tokens at once; revoke its API keys'],
  [/^\/auth\/(logout|one-time-token)$/, 'logging out; links and keys expire, and can be revoked'],
  [/^\/auth\/stream/, 'streams'],
  [/^\/background-task(\/|$)/, 'background tasks'],
  [/^\/connector(\/|$)/, 'connectors'],
  [/^\/environment(\/|$)/, 'environments'],
  [/^\/event-type\/(import|schema)(\/|$)/, 'the import of event types'],
  [
    /^\/operational-webhook(\/|$)/,
    'operational webhooks in this API; Postrider has its own events',
  ],
  [/^\/stats\/usage(\/|$)/, 'usage statistics'],
  [/^\/stream(\/|$)/, 'streams'],
  [/^\/(message|msg)\/(stream|poller)(\/|$)/, 'pollers'],
]

/** What stands at this path of Svix and is refused, in words; null = nothing of theirs that is known. */
export function refusedAt(path: string): string | null {
  return REFUSED.find(([pattern]) => pattern.test(path))?.[1] ?? null
}
