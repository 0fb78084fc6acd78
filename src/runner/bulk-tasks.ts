import type { TaskList } from 'graphile-worker'
import type { Pool } from 'pg'
import type { Log } from '../log.ts'
import {
  ADVANCE_TASK,
  ALIGN_TASK,
  BACKFILL_TASK,
  backfillPayload,
  DELETE_TENANT_TASK,
  endpointPayload,
  linePayload,
  PROBE_TASK,
  REPLAY_TASK,
  replayPayload,
  tenantPayload,
} from '../queue/jobs.ts'

/** The jobs about many deliveries. All they do is one SQL function each, in one transaction. */
export function bulkTasks(pool: Pool, log: Log): TaskList {
  const call = async (name: string, id: string) => {
    const { rows } = await pool.query(`select postrider.${name}($1) as value`, [id])
    return rows[0]?.value
  }
  return {
    async [PROBE_TASK](payload) {
      const { e: endpointId } = endpointPayload.parse(payload)
      log.info({ endpointId, deliveryId: await call('probe', endpointId) }, 'circuit.probed')
    },
    async [ALIGN_TASK](payload) {
      const { e: endpointId } = endpointPayload.parse(payload)
      log.info({ endpointId, deliveries: await call('align', endpointId) }, 'endpoint.aligned')
    },
    async [ADVANCE_TASK](payload) {
      const { t, e, k, n } = linePayload.parse(payload)
      await pool.query('select postrider.advance_line($1, $2, $3, $4)', [t, e, k, n])
    },
    async [REPLAY_TASK](payload) {
      const { r: replayId } = replayPayload.parse(payload)
      log.info({ replayId, step: await call('replay_step', replayId) }, 'replay.stepped')
    },
    async [BACKFILL_TASK](payload) {
      const { b: backfillId } = backfillPayload.parse(payload)
      log.info(
        { backfillId, step: await call('continue_backfill', backfillId) },
        'backfill.stepped',
      )
    },
    async [DELETE_TENANT_TASK](payload) {
      const { t: tenantId } = tenantPayload.parse(payload)
      const step = await call('delete_tenant_step', tenantId)
      log.info({ tenantId, step }, 'tenant.deletion_stepped')
    },
  }
}
