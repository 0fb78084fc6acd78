/** How the recipes of a language are built and run. */
export interface Way {
  /** As PRODUCERS calls it. */
  name: string
  /** As RECEIVERS calls it, if it is that of another library. */
  receiver?: string
  /** Programs that it takes. */
  needs: readonly string[]
  /** Shows whether the libraries are there that nothing of `build` fetches. */
  probe?: readonly string[]
  /** The program, by file name. */
  files(producer: string, receiver: string): Record<string, string>
  /** Asks the registry from which `build` fetches libraries, which may be out of reach. */
  ask?: readonly string[]
  /** Fetches libraries and compiles, in the folder of the files. */
  build?: readonly (readonly string[])[]
  run: readonly string[]
}
