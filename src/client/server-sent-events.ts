export interface ServerSentEvent {
  /** `message` where the server has named none; null where it is an id alone. */
  event: string | null
  data: string
  /** The latest that was sent. */
  id: string
}

/** Longer than any message of ours: an event of 1 MiB, an answer of 16 KiB, escaped. */
const MESSAGE_LENGTH_MAX = 16_777_216

/**
 * Reads the messages of a stream, as https://html.spec.whatwg.org/multipage/server-sent-events.html says; one
 * that has no data but an id comes as well, for it is where to go on reading.
 */
export async function* readServerSentEvents(
  body: AsyncIterable<Uint8Array> | ReadableStream<Uint8Array>,
): AsyncGenerator<ServerSentEvent, void, undefined> {
  const decoder = new TextDecoder()
  let text = ''
  let id = ''
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true })
    // Ends of line of ours are \n alone; a \r at the end of a chunk may be half of one.
    const blocks = text.replaceAll('\r\n', '\n').split('\n\n')
    text = blocks.pop() ?? ''
    if (text.length > MESSAGE_LENGTH_MAX) throw new RangeError('a message without an end')
    for (const block of blocks) {
      const message = parseBlock(block, id)
      if (message.event !== null || message.id !== id) yield message
      id = message.id
    }
  }
}

function parseBlock(block: string, lastId: string): ServerSentEvent {
  const data: string[] = []
  let event = 'message'
  let id = lastId
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
    if (name === 'data') data.push(value)
    else if (name === 'event') event = value
    else if (name === 'id') id = value
  }
  return { event: data.length > 0 ? event : null, data: data.join('\n'), id }
}
