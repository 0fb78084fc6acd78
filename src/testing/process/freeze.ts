/** Stops this process for so long, as SIGSTOP does: what arrives meanwhile is read afterwards, behind the timers. */
export function freeze(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
