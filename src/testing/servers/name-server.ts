import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import packet, { type RecordType } from 'dns-packet'

export interface Question {
  name: string
  type: RecordType
}

/** Addresses (none: the name exists, but not with this type), a failure, or no answer at all. */
export type NameAnswer = string[] | 'NXDOMAIN' | 'SERVFAIL' | 'silence'

export interface NameServer extends AsyncDisposable {
  /** For `createLookup`. */
  address: string
  /** In the order they came, repeats included. */
  asked: Question[]
  /** Resolves once so many distinct names were asked for. */
  namesAsked(count: number): Promise<void>
}

/** Response codes of RFC 1035, 4.1.1. */
const RCODES = { NXDOMAIN: 3, SERVFAIL: 2 }

/** A real name server on a free UDP port of 127.0.0.1. */
export async function startNameServer(
  answer: (question: Question) => NameAnswer | Promise<NameAnswer>,
): Promise<NameServer> {
  const socket = createSocket('udp4')
  const asked: Question[] = []
  const waiting = new Set<() => void>()
  socket.on('message', async (message, sender) => {
    const { id, questions: [question] = [] } = packet.decode(message)
    if (!question) return
    asked.push({ name: question.name, type: question.type })
    for (const check of waiting) check()
    reply({ id, question, answer: await answer(question), sender })
  })
  const reply = (to: {
    id: number | undefined
    question: packet.Question
    answer: NameAnswer
    sender: RemoteInfo
  }) => {
    if (to.answer === 'silence') return
    const { type, name } = to.question
    const addresses = typeof to.answer === 'string' ? [] : to.answer
    const encoded = packet.encode({
      type: 'response',
      ...(to.id !== undefined && { id: to.id }),
      flags: packet.RECURSION_AVAILABLE | (typeof to.answer === 'string' ? RCODES[to.answer] : 0),
      questions: [to.question],
      answers: addresses.map((data) => ({ type, name, data, ttl: 0 }) as packet.Answer),
    })
    socket.send(encoded, to.sender.port, to.sender.address)
  }
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')

  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    namesAsked: (count) =>
      new Promise((resolve) => {
        const check = () => {
          if (new Set(asked.map(({ name }) => name)).size < count) return
          waiting.delete(check)
          resolve()
        }
        waiting.add(check)
        check()
      }),
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}
