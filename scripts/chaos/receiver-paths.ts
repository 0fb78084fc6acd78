/** An endpoint with this path goes down for a while again and again, until its circuit opens. */
export const FRAGILE_PATH = '/fragile'
