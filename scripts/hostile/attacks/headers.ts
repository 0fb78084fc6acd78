import type { Attack } from '../attack.ts'
import { tryEndpoint } from './settings.ts'

/** Headers that frame a message, belong to a connection, or are signed by the service. */
const OURS = [
  'connection', 'content-length', 'content-type', 'expect', 'host', 'keep-alive', 'proxy-authorization',
  'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'user-agent', 'webhook-id',
  'webhook-signature', 'webhook-timestamp', 'webhook-anything',
  'Host', 'HOST', 'Transfer-Encoding', 'Content_Length', 'transfer_encoding', 'webhook_id', 'Webhook_Signature',
  'WEBHOOK_TIMESTAMP', 'webhook_anything',
] // biome-ignore format: a list of names

const ODD_NAMES = [
  '', ' ', 'a b', 'a:b', 'a\r\nb', 'a\nb', 'a\0b', 'host ', ' host', 'transfer-encoding\t', 'ä', 'a"b', 'a(b)',
  '__proto__: x', 'x'.repeat(5_000),
] // biome-ignore format: a list of names

const ODD_VALUES = [
  '', ' ', ' a', 'a ', 'a\r\nx-injected: 1', 'a\nx-injected: 1', 'a\rb', 'a\0b', 'ä', '\u2028', 'a\x7f', 'a\x1b[31m',
  'x'.repeat(5_000),
] // biome-ignore format: a list of values

export const headers: Attack = {
  name: 'headers',
  about: 'headers of an endpoint that pretend to be those of the service, or split the request',
  async *run(field) {
    for (const name of OURS) {
      yield await tryEndpoint(field, `header ${name}`, { headers: { [name]: 'x' } })
    }
    for (const name of ODD_NAMES) {
      const tried = `a header named ${JSON.stringify(name.slice(0, 30))}`
      yield await tryEndpoint(field, tried, { headers: { [name]: 'x' } })
    }
    for (const value of ODD_VALUES) {
      const tried = `a header with the value ${JSON.stringify(value.slice(0, 30))}`
      yield await tryEndpoint(field, tried, { headers: { 'x-odd': value } })
    }
    const twice = { 'x-twice': '1', 'X-Twice': '2' }
    yield await tryEndpoint(field, 'a header that is given twice', { headers: twice })
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`x-${n}`, '1']))
    yield await tryEndpoint(field, 'a hundred headers', { headers: many })
  },
}
