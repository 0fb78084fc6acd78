// What pages do in the browser next to htmx: copy, local times, countdowns, charts. Without it they all work.
;(() => {
  const pad = (number) => String(number).padStart(2, '0')
  const dateOf = (at) => `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`
  const timeOf = (at) => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`

  /** Adds the time of the viewer's own zone before that in UTC. */
  function localise(time) {
    const at = new Date(time.dateTime)
    const utc = at.toISOString()
    const isSameDay = dateOf(at) === utc.slice(0, 10)
    const small = document.createElement('span')
    small.className = 'utc'
    small.textContent = `${isSameDay ? '' : `${utc.slice(0, 10)} `}${utc.slice(11, 19)} UTC`
    time.replaceChildren(`${dateOf(at)} ${timeOf(at)} `, small)
  }

  function countDown(element) {
    const left = Math.round((new Date(element.dataset.countdown).getTime() - Date.now()) / 1000)
    element.textContent = left > 0 ? `in ${inWords(left)}` : 'now'
  }

  function inWords(seconds) {
    if (seconds < 60) return `${seconds} s`
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
    if (seconds < 86400)
      return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
    return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`
  }

  function say(text) {
    const said = document.getElementById('said')
    if (said) said.textContent = text
  }

  /** The clipboard is missing where a page is not served over https: an invisible field does it too. */
  async function copy(text) {
    if (navigator.clipboard) return await navigator.clipboard.writeText(text)
    const field = document.createElement('textarea')
    field.value = text
    field.className = 'hidden'
    document.body.append(field)
    field.select()
    const isDone = document.execCommand('copy')
    field.remove()
    if (!isDone) throw new Error('the browser refused')
  }

  async function onCopy(button) {
    const before = button.textContent
    try {
      await copy(button.dataset.copy)
      button.textContent = 'Copied'
      say('Copied')
    } catch {
      button.textContent = 'Not copied'
      say('The browser did not let it be copied')
    }
    setTimeout(() => {
      button.textContent = before
    }, 1500)
  }

  const CHART_HEIGHT = 220
  const plots = new WeakMap()

  const hourOf = (seconds) => timeOf(new Date(seconds * 1000)).slice(0, 5)

  /** Draws a chart, or gives the drawn one its new figures. */
  function draw(element) {
    const { series, data } = JSON.parse(element.dataset.chart)
    const plot = plots.get(element)
    if (plot) return plot.setData(data)
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name)
    const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 } }
    const made = new uPlot(
      {
        width: Math.max(element.clientWidth, 200),
        height: CHART_HEIGHT,
        series: [
          { label: 'time', value: (_, at) => (at == null ? '–' : timeOf(new Date(at * 1000))) },
          ...series.map(({ label, unit, tone }) => ({
            label,
            stroke: colour(`--${tone}`),
            width: 2,
            value: (_, value) => (value == null ? '–' : `${value}${unit ?? ''}`),
          })),
        ],
        axes: [
          { ...axis, values: (_, all) => all.map(hourOf) },
          { ...axis, size: 60 },
        ],
        scales: { y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] } },
      },
      data,
      element,
    )
    plots.set(element, made)
    new ResizeObserver(() => {
      made.setSize({ width: Math.max(element.clientWidth, 200), height: CHART_HEIGHT })
    }).observe(element)
  }

  function enhance() {
    for (const time of document.querySelectorAll('time[data-time]:not(:has(.utc))')) localise(time)
    for (const element of document.querySelectorAll('[data-countdown]')) countDown(element)
    if (window.uPlot) for (const element of document.querySelectorAll('[data-chart]')) draw(element)
  }

  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('button[data-copy]')
    if (button) void onCopy(button)
  })
  // Empty filters would make long addresses.
  document.addEventListener('submit', (event) => {
    if (event.target.method !== 'get') return
    for (const field of event.target.elements) if (field.value === '') field.disabled = true
  })
  // Back in history finds the form as it was left, with what was disabled above.
  window.addEventListener('pageshow', () => {
    for (const field of document.querySelectorAll('form[method=get] :disabled'))
      field.disabled = false
  })
  document.addEventListener('htmx:after:swap', enhance)
  setInterval(() => {
    for (const element of document.querySelectorAll('[data-countdown]')) countDown(element)
  }, 1000)
  enhance()
  globalThis.postrider = { enhance, localise, say }
})()
