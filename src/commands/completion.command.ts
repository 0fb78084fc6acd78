import type { Command } from 'commander'
import type { CommandContext } from '../terminal/context.ts'
import { UsageError } from '../terminal/exit-code.ts'

/** A command, by the words that lead to it: `/tenant/create`; the program itself has none. */
interface Node {
  path: string
  words: { word: string; description: string }[]
}

const SHELLS: Record<string, (nodes: Node[]) => string> = { bash, zsh, fish }

/** Prints a script that makes a shell complete commands and options. */
export function addCompletionCommand(program: Command, context: CommandContext): void {
  program
    .command('completion')
    .description('print the completion script of a shell: bash, zsh or fish')
    .argument('<shell>', 'bash: put `source <(postrider completion bash)` into ~/.bashrc')
    .action((shell: string) => {
      const render = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
      if (!render) throw new UsageError(`${shell} is none of ${Object.keys(SHELLS).join(', ')}`)
      context.print(render(nodesOf(program)))
    })
}

function nodesOf(command: Command, path = ''): Node[] {
  const help = command.createHelp()
  const commands = help.visibleCommands(command)
  const words = [
    ...commands.map((one) => ({ word: one.name(), description: one.description() })),
    ...help
      .visibleOptions(command)
      .map((one) => ({ word: one.long ?? one.short ?? '', description: one.description })),
  ]
  const below = commands.flatMap((one) => nodesOf(one, `${path}/${one.name()}`))
  return [{ path, words }, ...below]
}

/** Follows the words that are commands; in their place, arguments and values of options are passed over. */
function bash(nodes: Node[]): string {
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`)
  return `# Completion of postrider for bash; made by: postrider completion bash
_postrider() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path='' words='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path/$word" in
      ${paths.join('|')}) path="$path/$word" ;;
    esac
  done
  case "$path" in
${nodes.map(bashCase).join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _postrider postrider
`
}

/** Of bash, which zsh understands with its own module. */
function zsh(nodes: Node[]): string {
  return `autoload -Uz compinit bashcompinit && compinit && bashcompinit\n${bash(nodes)}`
}

const bashCase = ({ path, words }: Node): string =>
  `    '${path}') words='${words.map(({ word }) => word).join(' ')}' ;;`

function fish(nodes: Node[]): string {
  const paths = nodes.filter(({ path }) => path !== '').map(({ path }) => path)
  const lines = nodes.flatMap(({ path, words }) =>
    words.map(({ word, description }) => {
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`
      const told = description.replace(/[\\']/g, '\\$&')
      return `complete -c postrider -n '__postrider_at "${path}"' ${what} -d '${told}'`
    }),
  )
  return `# Completion of postrider for fish; made by: postrider completion fish
function __postrider_at
  set -l path ''
  for word in (commandline -opc)[2..-1]
    if contains -- "$path/$word" ${paths.join(' ')}
      set path "$path/$word"
    end
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`
}
