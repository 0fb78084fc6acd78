/** In the checkout, next to what tap keeps there. */
export const FOLDER = new URL('../../../.tap/packed/', import.meta.url)
export const INDEX = new URL('index.json', FOLDER)
export const CLI = new URL('../../cli.ts', import.meta.url)

export interface PackedIndex {
  /** Of what was packed; another one is packed again. */
  key: string
  /** Of files, by what an import calls their packages, and by the source of the program. */
  urls: Record<string, string>
}
