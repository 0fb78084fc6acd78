import type { TaskList } from 'graphile-worker'
import type { Pool } from 'pg'
import type { Log } from '../log.ts'
import {
  ALIGN_TASK,
  DELETE_TENANT_TASK,
  endpointPayload,
  PROBE_TASK,
  REPLAY_TASK,
  replayPayload,
  tenantPayload,
} from '../queue/jobs.ts'

/** The jobs about many deliveries. All they do is one SQL function each, in one transaction. */
export function bulkTasks(pool: Pool, log: Log): TaskList {
  return {
    async [PROBE_TASK](payload) {
      const { e: endpointId } = endpointPayload.parse(payload)
      const { rows } = await pool.query<{ probe: string | null }>('select postrider.probe($1)', [
        endpointId,
      ])
      log.info({ endpointId, deliveryId: rows[0]?.probe }, 'circuit.probed')
    },
    async [ALIGN_TASK](payload) {
      const { e: endpointId } = endpointPayload.parse(payload)
      const { rows } = await pool.query<{ align: number }>('select postrider.align($1)', [
        endpointId,
      ])
      log.info({ endpointId, deliveries: rows[0]?.align }, 'endpoint.aligned')
    },
    async [REPLAY_TASK](payload) {
      const { r: replayId } = replayPayload.parse(payload)
      const { rows } = await pool.query<{ step: string }>(
        'select postrider.replay_step($1) as step',
        [replayId],
      )
      log.info({ replayId, step: rows[0]?.step }, 'replay.stepped')
    },
    async [DELETE_TENANT_TASK](payload) {
      const { t: tenantId } = tenantPayload.parse(payload)
      const { rows } = await pool.query<{ step: string }>(
        'select postrider.delete_tenant_step($1) as step',
        [tenantId],
      )
      log.info({ tenantId, step: rows[0]?.step }, 'tenant.deletion_stepped')
    },
  }
}
