/** Where the portal is mounted. */
export const PORTAL_PATH = '/portal'
