export interface FieldError {
  /** Path of the member in the body (`eventTypes[0]`), or the name of a parameter or header. */
  field: string
  message: string
}

/** A request that was refused, or that got no answer. */
export class PostriderError extends Error {
  override readonly name = 'PostriderError'
  /**
   * Stable, for programs. Next to those of the API: `unreachable` and `timeout` when there was no
   * answer, `unexpected_answer` when something else than the API has answered.
   */
  readonly code: string
  /** Null when there was no answer. */
  readonly status: number | null
  /** Every invalid field. */
  readonly errors: readonly FieldError[]
  /** Leads to the log of the API. */
  readonly requestId: string | null

  constructor(
    message: string,
    values: {
      code: string
      status?: number
      errors?: readonly FieldError[]
      requestId?: string | null
      cause?: unknown
    },
  ) {
    super(message, { cause: values.cause })
    this.code = values.code
    this.status = values.status ?? null
    this.errors = values.errors ?? []
    this.requestId = values.requestId ?? null
  }
}

/** The error that an answer of 4xx or 5xx stands for. */
export async function errorOf(response: Response): Promise<PostriderError> {
  const { status } = response
  const text = await response.text().catch(() => '')
  const requestId = response.headers.get('x-request-id')
  const problem = parseProblem(text)
  if (!problem) {
    const message = `a response that is not from Postrider: ${status} ${text.slice(0, 200)}`
    return new PostriderError(message, { code: 'unexpected_answer', status, requestId })
  }
  const { code, detail, errors } = problem
  const fields = errors.map(({ field, message }) => `${field} ${message}`)
  const message = [`${code}: ${detail}`, ...fields].join('; ')
  return new PostriderError(message, { code, status, errors, requestId })
}

function parseProblem(text: string): { code: string; detail: string; errors: FieldError[] } | null {
  try {
    const problem = JSON.parse(text)
    return typeof problem.code === 'string' && Array.isArray(problem.errors) ? problem : null
  } catch {
    return null
  }
}
