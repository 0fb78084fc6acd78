import type { Socket } from 'node:net'

/** One HTTP/1.1 request or response, read as latin1: the programs here send ASCII only. */
export interface Message {
  /** Start line and headers. */
  head: string
  body: string
}

const HEAD_END = '\r\n\r\n'
const LENGTH = /\r\ncontent-length: *(\d+)/i
const CHUNKED = /\r\ntransfer-encoding: *chunked/i

/**
 * Calls `onMessage` for each complete message that arrives on the socket.
 *
 * Driver and receiver run on the cores of what they measure. `node:http` costs both of them four
 * times as much as this, and every event would carry that as a cost of the system.
 */
export function readMessages(socket: Socket, onMessage: (message: Message) => void): void {
  let unread = ''
  socket.setEncoding('latin1')
  socket.on('data', (chunk: string) => {
    unread = unread === '' ? chunk : unread + chunk
    for (let taken = takeMessage(unread); taken; taken = takeMessage(unread)) {
      unread = unread.slice(taken.length)
      onMessage(taken)
    }
  })
}

/** The first message of the text and how much of it that takes; null while it is incomplete. */
export function takeMessage(text: string): (Message & { length: number }) | null {
  const headEnd = text.indexOf(HEAD_END)
  if (headEnd === -1) return null
  const head = text.slice(0, headEnd)
  const from = headEnd + HEAD_END.length
  if (CHUNKED.test(head)) return takeChunked(head, text, from)
  const length = from + Number(LENGTH.exec(head)?.[1] ?? 0)
  return text.length < length ? null : { head, body: text.slice(from, length), length }
}

function takeChunked(head: string, text: string, from: number) {
  let body = ''
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    const next = lineEnd + 2 + size + 2
    if (text.length < next) return null
    if (size === 0) return { head, body, length: next }
    body += text.slice(lineEnd + 2, lineEnd + 2 + size)
    at = next
  }
}
