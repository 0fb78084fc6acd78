/** Below the root of the checkout: what tap runs in place of the test files that share a process. */
export const TOGETHER = '.tap/together/'
