import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { addRequest, type RequestSpec } from '../terminal/request-command.ts'

const SERVICE: readonly RequestSpec[] = [
  {
    verb: 'show',
    about: 'show whether all deliveries are paused, since when, and by whom',
    operation: 'GET /api/service',
  },
  {
    verb: 'pause',
    about: 'pause all deliveries of all tenants; events are still accepted',
    operation: 'POST /api/service/pause',
  },
  {
    verb: 'resume',
    about: 'resume all deliveries; held ones are released over time',
    operation: 'POST /api/service/resume',
  },
]

/** Pauses and resumes everything through the API. */
export function addServiceCommand(program: Command, context: CommandContext): void {
  const service = program.command('service').description('pause and resume all deliveries')
  for (const spec of SERVICE) addRequest(service, context, spec)
}
