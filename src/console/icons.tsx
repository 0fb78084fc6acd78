/** Outlines on a square of 16; each stands beside its name, so none is read out. */
const OUTLINES = {
  home: 'M2.5 7.5 8 2.75l5.5 4.75M4 6.5v6.75h8V6.5',
  order: 'M2.5 4h2M2.5 8h2M2.5 12h2M7 4h6.5M7 8h6.5M7 12h6.5',
  incident: 'M8 2.5 14 13H2L8 2.5ZM8 6.5v3M8 11.25v.1',
  delivery: 'M2.5 8h8.5M7.5 4 11.5 8l-4 4M13.5 3v10',
  event: 'M9 2 4 9h4l-1 5 5-7H8l1-5Z',
  live: 'M1.5 8H4l2-4.5 3.5 9L11.5 8h3',
  tenant: 'M3 13.5v-10h6v10M9 6.5h4v7M1.5 13.5h13M5 6h2M5 8.5h2M5 11h2',
  endpoint:
    'M6.5 9.5 9.5 6.5M5 7 3.5 8.5a2.8 2.8 0 0 0 4 4L9 11M7 5l1.5-1.5a2.8 2.8 0 0 1 4 4L11 9',
  type: 'M2.5 3h4.25l6.5 6.5-4.25 4.25L2.5 7.25V3ZM5 5.5v.1',
  replay: 'M13 8a5 5 0 1 1-1.5-3.6M13.25 2v3h-3',
  key: 'M9.5 9.5a3.25 3.25 0 1 0-3-3L2.5 10.5v3h3v-1.75h1.75V10L9.5 9.5ZM11 5v.1',
  audit: 'M3.5 2.5h9v11h-9zM6 5.5h4M6 8h4M6 10.5h2',
  settings: 'M2.5 4.5h6M11.5 4.5h2M2.5 11.5h2M7.5 11.5h6M10 3v3M6 10v3',
  doctor: 'M3 2.75h10v3H3zM3 6.5h10v3H3zM3 10.25h10v3H3zM5 4.25v.1M5 8v.1M5 11.75v.1',
  database:
    'M3 4c0-1 2.25-1.75 5-1.75S13 3 13 4v8c0 1-2.25 1.75-5 1.75S3 13 3 12V4ZM3 4c0 1 2.25 1.75 5 1.75S13 5 13 4M3 8c0 1 2.25 1.75 5 1.75S13 9 13 8',
  docs: 'M8 4C6.5 3 4.5 2.75 2.5 3v9.5c2-.25 4 0 5.5 1 1.5-1 3.5-1.25 5.5-1V3C11.5 2.75 9.5 3 8 4ZM8 4v9.5',
  display:
    'M8 2.5v1.25M8 12.25v1.25M2.5 8h1.25M12.25 8h1.25M4.1 4.1l.9.9M11 11l.9.9M4.1 11.9l.9-.9M11 5l.9-.9M8 5.75a2.25 2.25 0 1 0 0 4.5 2.25 2.25 0 0 0 0-4.5Z',
  leave: 'M6.5 2.5h-4v11h4M6 8h8M11 5l3 3-3 3',
  more: 'M3.5 8v.1M8 8v.1M12.5 8v.1',
  copy: 'M5.5 5.5h8v8h-8zM3 10.5H2.5v-8h8V3',
  columns: 'M2.5 3h11v10h-11zM6.25 3v10M9.75 3v10',
  views: 'M4.5 2.5h7v11L8 10.75 4.5 13.5z',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9ZM10.25 10.25 13.5 13.5',
  filter: 'M2 4h12M4.5 8h7M6.75 12h2.5',
  chart: 'M2.5 13.5h11M4 11V8M7 11V4.5M10 11V6.5M13 11V9.5',
} as const

export type IconName = keyof typeof OUTLINES

export function Icon({ of }: { of: IconName }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 16 16"
      width="16"
      height="16"
      aria-hidden="true"
      focusable="false"
    >
      <path d={OUTLINES[of]} />
    </svg>
  )
}
