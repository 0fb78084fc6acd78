/** What WCAG 2.2 AA asks of text. */
const CONTRAST_MIN = 4.5
/** Steps towards black or white; far below what an eye tells apart. */
const STEP = 0.02
const BLACK = '#000000'
const WHITE = '#ffffff'
/** What text of this colour stands on: of the surfaces in console.css, the one with the least contrast to it. */
const LIGHT_SURFACE = '#eff1f4'
const DARK_SURFACE = '#1c222b'

type Rgb = readonly [number, number, number]

/**
 * The style sheet of a theme: shades of one colour that can be read, on light and on dark. Whatever is chosen,
 * links and buttons keep the contrast that people need; a pale yellow becomes a dark one on white.
 *
 * @param accent `#rrggbb`, which nothing but a colour can be
 */
export function themeCss(accent: string): string {
  const light = readable(accent, { on: LIGHT_SURFACE, towards: BLACK })
  const dark = readable(accent, { on: DARK_SURFACE, towards: WHITE })
  const [onLight, onDark] = [textOn(light), textOn(dark)]
  return `:root{--accent:light-dark(${light},${dark});--on-accent:light-dark(${onLight},${onDark})}`
}

/** The style sheet of an installation: its colour, and what can be read on it. */
export const environmentCss = (colour: string): string =>
  `:root{--environment:${colour};--on-environment:${textOn(colour)}}`

/** One of the two always has at least 4.58:1. */
const textOn = (back: string): string =>
  contrast(WHITE, back) >= contrast(BLACK, back) ? WHITE : BLACK

/** The shade nearest to the colour that can be read on a surface. */
export function readable(colour: string, { on, towards }: { on: string; towards: string }): string {
  for (let share = 0; share < 1; share += STEP) {
    const shade = mixed(colour, towards, share)
    if (contrast(shade, on) >= CONTRAST_MIN) return shade
  }
  return towards
}

/** Of two colours as WCAG counts it: 1 (the same) to 21 (black on white). */
export function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (light + 0.05) / (dark + 0.05)
}

function luminance(colour: string): number {
  const [red, green, blue] = rgbOf(colour).map((part) => {
    const share = part / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as unknown as Rgb
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function mixed(colour: string, other: string, share: number): string {
  const [from, to] = [rgbOf(colour), rgbOf(other)]
  const parts = from.map((part, index) => Math.round(part + ((to[index] ?? 0) - part) * share))
  return `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`
}

function rgbOf(colour: string): Rgb {
  const number = Number.parseInt(colour.slice(1), 16)
  return [number >> 16, (number >> 8) & 255, number & 255]
}
