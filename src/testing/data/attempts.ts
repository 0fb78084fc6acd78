import type { Pool } from 'pg'

/** Gives a delivery so many attempts that failed, each with an answer that says which it was and goes on so long. */
export async function addAttempts(
  pool: Pool,
  deliveryId: string,
  count: number,
  { answerCharacters = 0 }: { answerCharacters?: number } = {},
): Promise<void> {
  await pool.query(
    `insert into postrider.attempt (tenant_id, delivery_id, endpoint_id, number, trigger, outcome,
       status_code, request_headers, response_headers, response_body, runner, finished_at)
     select d.tenant_id, d.id, d.endpoint_id, n, 'schedule', 'rejected', 500, $2, $3,
       'answer ' || n || '.' || repeat('x', $5::int), 'runner', now()
     from postrider.delivery d, generate_series(1, $4::int) as n where d.id = $1`,
    [
      deliveryId,
      '{"webhook-id":"the-id","webhook-timestamp":"1"}',
      '{"x-answer":"a"}',
      count,
      answerCharacters,
    ],
  )
}
