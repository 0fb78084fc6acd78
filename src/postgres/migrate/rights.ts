/**
 * What each group role may do: the least with which everything works. `postrider migrate --roles` grants
 * it (roles.ts), and a process refuses to start without it (assert-rights.ts).
 *
 * A new function or table that a process uses is added here; the tests run each process with these rights.
 */

export type ServiceRole = 'postrider_api' | 'postrider_runner'
export type GroupRole =
  | ServiceRole
  | 'postrider_monitor'
  | 'postrider_operator'
  | 'postrider_producer'

export interface Rights {
  /** Becomes the comment of the role. */
  purpose: string
  /** In schema postrider: those with their owner's rights. The others may be called by everybody, and can do what their caller can. */
  functions: readonly string[]
  /** Relation → privileges, in schema postrider. */
  tables?: Readonly<Record<string, readonly string[]>>
  /** Reads every table and view but these, of some all columns but these. Partitions are read by their parent. */
  readsAllBut?: Readonly<Record<string, 'everything' | readonly string[]>>
  /** Relations, in schema postrider, whose policies show each role what belongs to it. */
  reads?: readonly string[]
  /** Relation → privileges, in schema graphile_worker. */
  jobs?: Readonly<Record<string, readonly string[]>>
  /** Roles that it may become, for a transaction, but whose rights it does not have by itself. */
  becomes?: readonly string[]
  /** Roles whose rights it has as well. */
  has?: readonly string[]
}

const EVERY_DML = ['select', 'insert', 'update', 'delete']

/** Hashes and ciphertexts: nobody reads them but who works with them. */
const SECRETS = {
  api_key: ['hash'],
  session: ['token_hash', 'key_hash'],
  portal_link: ['token_hash'],
  endpoint_secret: ['encrypted'],
} as const

const PUBLISHING = ['publish', 'publish_many']
/** Who owns a table can attach it: what its triggers and attach() call. */
const ATTACHING = [
  ...['publish_rows', 'note_attachment', 'forget_attachment'],
  ...['record_backfill', 'take_backfill', 'move_backfill', 'cancel_backfill'],
]

export const RIGHTS: Readonly<Record<GroupRole, Rights>> = {
  postrider_producer: {
    purpose: 'Producers: publish, attach tables of theirs and see these, and nothing else.',
    functions: [...PUBLISHING, ...ATTACHING],
    reads: ['attachment', 'backfill', 'attached_table', 'backfill_progress'],
  },
  postrider_api: {
    purpose: 'The processes of `postrider api`.',
    functions: [
      ...PUBLISHING,
      ...['suspend_tenant', 'resume_tenant', 'delete_tenant', 'violations'],
      ...['resend', 'erase_event', 'erase_answer'],
      ...['unreadable_secrets', 'collapsed_total', 'unadopted', 'pause_all', 'resume_all'],
      ...['cancel_backfill', 'retention_plan', 'snapshot_holders', 'client_sessions'],
    ],
    tables: {
      tenant: ['insert', 'update'],
      api_key: ['insert', 'update'],
      session: ['insert', 'update', 'delete'],
      portal_link: ['insert', 'update', 'delete'],
      event_type: ['insert', 'update', 'delete'],
      audit_log: ['insert'],
      svix_answer: ['insert', 'update', 'delete'],
    },
    readsAllBut: { endpoint_secret: 'everything' },
    jobs: { jobs: ['select'] },
    becomes: ['postrider_tenant'],
  },
  postrider_runner: {
    purpose: 'The processes of `postrider runner`.',
    functions: [
      ...['register_runner', 'heartbeat', 'stop_runner', 'reap', 'return_unknown_jobs'],
      'unadopted',
      ...['claim_many', 'finish_many', 'snooze_many', 'put_off', 'bring_forward', 'replan_waits'],
      ...['hold_unreadable', 'release_secrets', 'unreadable_secrets', 'collapsed_total', 'reseal'],
      ...[
        'probe',
        'align',
        'advance_line',
        'replay_step',
        'continue_backfill',
        'delete_tenant_step',
        'share_queue',
        'analyze_queue',
      ],
      'keep_incidents',
      'note_timeline',
      ...['route_next', 'postpone_routing'],
      ...['take_duty', 'reconcile', 'janitor', 'clean_up', 'erase_due', 'create_partitions'],
      ...['retention_plan', 'detach_partition', 'drop_day', 'delete_expired'],
    ],
    tables: {
      migration: ['select'],
      function_source: ['select'],
      runner: ['select'],
      endpoint: ['select'],
      endpoint_secret: ['select'],
      partition: ['select'],
      queue_depth: ['select'],
      runner_health: ['select'],
      circuit: ['select'],
      ordering_line: ['select'],
      incident: ['select'],
    },
    jobs: {
      jobs: ['select'],
      migrations: ['select'],
      _private_jobs: EVERY_DML,
      _private_job_queues: EVERY_DML,
      _private_tasks: EVERY_DML,
      _private_known_crontabs: EVERY_DML,
    },
  },
  postrider_monitor: {
    purpose: 'Monitoring: reads every view and table, but no secret, payload, header or response.',
    functions: [
      ...['violations', 'retention_plan', 'snapshot_holders', 'client_sessions'],
      ...['unreadable_secrets', 'collapsed_total', 'unadopted'],
    ],
    readsAllBut: {
      ...SECRETS,
      endpoint: ['headers', 'secret_headers', 'client_certificate', 'client_key_encrypted'],
      event: ['data'],
      attempt: ['request_headers', 'response_headers', 'response_body'],
      svix_answer: ['body'],
    },
    jobs: { jobs: ['select'] },
  },
  postrider_operator: {
    purpose: 'Operators: the functions that act, and everything that is stored but secrets.',
    functions: [
      'disable_by_hand',
      ...['retry_now', 'resend', 'cancel', 'pause_endpoint', 'resume_endpoint', 'enable_endpoint'],
      ...['suspend_tenant', 'resume_tenant', 'delete_tenant', 'delete_tenant_step'],
      ...['skip_head', 'retry_head', 'skip_to', 'release_ordering'],
      ...[
        'pause_all',
        'resume_all',
        'adopt_copy',
        'release_secrets',
        'start_replay',
        'start_bulk',
        'start_recovery',
        'cancel_replay',
        'cancel_backfill',
        'explain_route',
      ],
      ...['drain_runner', 'reap', 'reconcile', 'janitor', 'clean_up', 'abandon_of_dead_runners'],
      ...['create_partitions', 'erase_event', 'erase_tenant_data', 'erase_due'],
      ...[
        'acknowledge_incident',
        'note_incident',
        'probe_incident',
        'release_incident',
        'pause_incident',
      ],
      ...['incident_message', 'notify_customer'],
    ],
    tables: { tenant: ['update (retention_days)'] },
    readsAllBut: { ...SECRETS, endpoint: ['client_key_encrypted', 'secret_headers'] },
    has: ['postrider_monitor'],
  },
}
