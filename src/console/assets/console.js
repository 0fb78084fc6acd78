// What pages do in the browser next to htmx: times, countdowns, charts, keys, copy. Without it they all work.
;(() => {
  const root = document.documentElement
  const all = (selector, within = document) => within.querySelectorAll(selector)

  // Words: English is what stands here; a page in another language brings the others along.

  const { lang } = root
  const words = JSON.parse(root.dataset.words ?? '{}')
  const tr = (text, values = {}) =>
    (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole)

  // How pages look: attributes of the page, which the server writes from a cookie.

  const DISPLAY = ['theme', 'zone', 'times', 'density']
  const YEAR_SECONDS = 31_536_000

  function onDisplay({ dataset, value, selectedIndex }) {
    if (selectedIndex === 0) delete root.dataset[dataset.display]
    else root.dataset[dataset.display] = value
    const words = DISPLAY.map((name) => root.dataset[name]).filter(Boolean)
    const path = location.pathname.split('/')[1]
    // biome-ignore lint/suspicious/noDocumentCookie: the cookie store is missing where pages are not served over https
    document.cookie = `postrider_display=${words.join('.')};path=/${path};max-age=${YEAR_SECONDS};samesite=lax`
    enhance()
    for (const field of all('[data-utc]')) showInZone(field)
    for (const element of all('[data-chart]')) redraw(element)
  }

  // Times: one zone for tables, filters and charts.

  const pad = (number) => String(number).padStart(2, '0')
  const isUtc = () => root.dataset.zone === 'utc'

  /** The same time, of which the UTC parts are those of the chosen zone. */
  const inZone = (at, utc = isUtc()) =>
    utc ? at : new Date(at.getTime() - at.getTimezoneOffset() * 60_000)
  const exact = (at, utc) => inZone(at, utc).toISOString().slice(0, 19).replace('T', ' ')
  const clock = (at) => exact(at).slice(11)

  /** Customers read dates as their browser writes them, in the language of the page. */
  const isOurs = location.pathname.startsWith('/console')
  const locale = navigator.languages.find((one) => one.split('-')[0] === lang) ?? lang

  /** In the console so that times sort and nobody takes the month for the day; its name tells it elsewhere. */
  function shown(at, utc) {
    if (isOurs) return exact(at, utc)
    const format = { dateStyle: 'medium', timeStyle: 'medium', timeZone: 'UTC' }
    return new Intl.DateTimeFormat(locale, format).format(inZone(at, utc))
  }

  function zoneOf(at) {
    const minutes = -at.getTimezoneOffset()
    const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
    return `UTC${minutes < 0 ? '−' : '+'}${hours}${rest ? `:${pad(rest)}` : ''}`
  }

  const dayOf = (at) =>
    inZone(at).toLocaleDateString(isOurs ? 'en-GB' : locale, {
      day: 'numeric',
      month: 'short',
      timeZone: 'UTC',
    })

  function relative(at) {
    const seconds = Math.round((Date.now() - at.getTime()) / 1000)
    const [size, isPast] = [Math.abs(seconds), seconds >= 0]
    const say = (span) => tr(isPast ? '{span} ago' : 'in {span}', { span })
    if (size < 5) return tr('just now')
    if (size < 60) return say(`${size} s`)
    if (size < 3600) return say(`${Math.floor(size / 60)} min`)
    if (size < 86_400) return say(`${Math.floor(size / 3600)} h`)
    if (size < 7 * 86_400) return say(`${Math.floor(size / 86_400)} d`)
    const year = inZone(at).getUTCFullYear()
    return year === inZone(new Date()).getUTCFullYear() ? dayOf(at) : `${dayOf(at)} ${year}`
  }

  function brief(at) {
    const isToday = exact(at).slice(0, 10) === exact(new Date()).slice(0, 10)
    return isToday ? clock(at) : `${dayOf(at)} ${clock(at)}`
  }

  /** Short in a table, with the exact time beside it where there is room. */
  function showTime(time) {
    const at = new Date(time.dateTime)
    const isExact = root.dataset.times === 'exact'
    const zone = isUtc() ? 'UTC' : zoneOf(at)
    time.title = `${shown(at, false)} (${zoneOf(at)})\n${shown(at, true)} UTC`
    if (time.closest('dd, h1, h3, p, .notice')) {
      const text = `${shown(at)} ${zone} · ${relative(at)}`
      if (time.textContent !== text) time.textContent = text
      return
    }
    const text = isExact || time.dataset.time === 'exact' ? brief(at) : relative(at)
    if (time.textContent !== text) time.textContent = text
  }

  /** A filter's time is UTC in the address, so that it means one time to everybody, and shown in the zone. */
  function showInZone(field) {
    const { hidden } = field
    const label = document.querySelector(`label[for="${field.id}"]`)
    if (label) {
      label.dataset.text ??= label.textContent.replace(/ \(UTC\)$/, '')
      label.textContent = `${label.dataset.text} (${isUtc() ? 'UTC' : zoneOf(new Date())})`
    }
    const at = new Date(`${hidden.value}Z`)
    field.value = hidden.value && !Number.isNaN(at.getTime()) ? exact(at).replace(' ', 'T') : ''
  }

  function followZone(field) {
    if (field.hidden) return
    const hidden = document.createElement('input')
    Object.assign(hidden, { type: 'hidden', name: field.name, value: field.value })
    // A separate property: an element that is hidden would not be shown.
    Object.defineProperty(field, 'hidden', { value: hidden })
    field.removeAttribute('name')
    field.step = 1
    field.after(hidden)
    field.addEventListener('change', () => {
      const at = isUtc() ? new Date(`${field.value}Z`) : new Date(field.value)
      hidden.value = Number.isNaN(at.getTime()) ? '' : exact(at, true).replace(' ', 'T')
    })
    showInZone(field)
  }

  function countDown(element) {
    const to = new Date(element.dataset.countdown)
    const left = Math.round((to.getTime() - Date.now()) / 1000)
    element.title = `${shown(to)} ${isUtc() ? 'UTC' : zoneOf(to)}`
    element.textContent = left > 0 ? tr('in {span}', { span: inWords(left) }) : tr('now')
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
    try {
      await copy(button.dataset.copy)
      button.classList.add('done')
      say(tr('Copied'))
    } catch {
      say(tr('The browser did not allow copying'))
    }
    setTimeout(() => button.classList.remove('done'), 1500)
  }

  // What this browser keeps: the columns of lists, and views that somebody has saved.

  const kept = (what, name) => JSON.parse(localStorage.getItem(`postrider.${what}.${name}`))
  const keep = (what, name, value) =>
    localStorage.setItem(`postrider.${what}.${name}`, JSON.stringify(value))
  const boxesOf = (name) => [...all(`[data-list="${name}"]`)]

  /** An address that names columns goes before what was chosen here. */
  function columnsOf(name) {
    const named = new URLSearchParams(location.search).get('columns')?.split(',')
    if (!named) return kept('columns', name) ?? {}
    const columns = boxesOf(name).map(({ dataset: { shows } }) => [shows, named.includes(shows)])
    return Object.fromEntries(columns)
  }

  function showColumns(name) {
    for (const [column, isShown] of Object.entries(columnsOf(name))) {
      for (const cell of all(`[data-columns="${name}"] [data-column="${column}"]`))
        cell.hidden = !isShown
      for (const box of all(`[data-list="${name}"][data-shows="${column}"]`)) box.checked = isShown
    }
  }

  function onColumn({ dataset: { list, shows }, checked }) {
    keep('columns', list, { ...columnsOf(list), [shows]: checked })
    const shown = boxesOf(list).filter((box) => box.checked)
    const query = new URLSearchParams(location.search)
    query.set('columns', shown.map((box) => box.dataset.shows).join(','))
    history.replaceState(null, '', `?${query}${location.hash}`)
    showColumns(list)
  }

  const VIEWS_MAX = 20

  function showViews(list) {
    for (const item of all('.saved', list)) item.remove()
    for (const { label, query } of kept('views', list.dataset.views) ?? []) {
      const item = document.createElement('li')
      item.className = 'saved'
      item.innerHTML = '<a class="chip"></a><button type="button" class="copy">×</button>'
      const [link, button] = item.children
      link.href = location.pathname + query
      link.textContent = label
      if (query === location.search) link.setAttribute('aria-current', 'true')
      button.dataset.deletes = label
      button.title = tr('Delete view {label}', { label })
      button.setAttribute('aria-label', button.title)
      list.lastElementChild.before(item)
    }
  }

  /** @param query undefined = only removes it */
  function changeView(name, label, query) {
    const others = (kept('views', name) ?? []).filter((view) => view.label !== label)
    const views = query === undefined ? others : [...others, { label, query }]
    keep('views', name, views.slice(-VIEWS_MAX))
    for (const list of all(`[data-views="${name}"]`)) showViews(list)
  }

  function saveView(form) {
    const label = form.elements.name.value.trim()
    const query = new URLSearchParams(location.search)
    for (const passing of ['before', 'newer', 'after', 'said']) query.delete(passing)
    if (label) changeView(form.dataset.saves, label, query.size > 0 ? `?${query}` : '')
    form.reset()
    say(tr('View {label} saved', { label }))
  }

  // Filters offer what the service knows, while somebody types.

  const SUGGEST_MS = 200
  let suggesting

  function onSuggest({ target: field }) {
    clearTimeout(suggesting)
    if (field.dataset?.suggests) suggesting = setTimeout(suggest, SUGGEST_MS, field)
  }

  async function suggest(field) {
    const { value: text, form } = field
    const query = new URLSearchParams({ text, tenant: form.elements.tenant?.value ?? '' })
    const area = location.pathname.split('/')[1]
    const path = `/${area}/suggestions/${field.dataset.suggests}.json?${query}`
    const answer = await fetch(path).catch(() => null)
    if (!answer?.ok || answer.redirected || field.value !== text) return
    const options = (await answer.json()).map(({ value, label }) => new Option(label, value))
    field.list.replaceChildren(...options)
  }

  /** Canvas knows no variables, nor colours that depend on the theme. */
  function colourOf(element, name) {
    const { style } = element
    style.color = `var(${name})`
    const { color } = getComputedStyle(element)
    style.color = ''
    return color
  }

  const [CHART_HEIGHT, LOW_HEIGHT] = [220, 96]
  const plots = new WeakMap()

  /** Each value on top of those before it; the highest is drawn first, behind the others. */
  function stacked([at, ...series]) {
    const sums = at.map(() => 0)
    const layers = series.map((values) =>
      values.map((value, index) => {
        sums[index] += value ?? 0
        return sums[index]
      }),
    )
    return [at, ...layers.reverse()]
  }

  /** A value between two that are missing draws no line: it is a point. */
  const isLone = (values, index) =>
    values[index] != null && values[index - 1] == null && values[index + 1] == null
  const lonePoints = (plot, series) =>
    plot.data[series].flatMap((_, index) => (isLone(plot.data[series], index) ? [index] : []))

  const inNumbers = (value) => value.toLocaleString(lang)

  /** What the legend says: the value under the pointer, otherwise the sum of counts or the last measure. */
  function legendOf(values, index, { kind, unit }) {
    if (index != null) return values[index] == null ? tr('none') : inNumbers(values[index]) + unit
    if (kind === 'bars') return inNumbers(values.reduce((sum, value) => sum + (value ?? 0), 0))
    const last = values.findLast((value) => value != null)
    return last === undefined ? tr('none') : `${inNumbers(last)}${unit}`
  }

  function seriesOf(element, chart) {
    const { kind, series } = chart
    const bars = kind === 'bars' && uPlot.paths.bars({ size: [0.8, 28], align: 1 })
    const drawn = series.map(({ label, tone }, index) => {
      const stroke = colourOf(element, `--${tone}`)
      const value = (_, __, ___, at) => legendOf(chart.data[index + 1], at, chart)
      const look = bars
        ? { paths: bars, fill: stroke, width: 0, points: { show: false } }
        : { width: 2 }
      return { label, stroke, value, points: { filter: lonePoints, size: 6 }, ...look }
    })
    return bars ? drawn.reverse() : drawn
  }

  /** Lines for what happened meanwhile, such as a pause. */
  function drawMarkers({ ctx, bbox, valToPos }, markers, colour) {
    ctx.save()
    ctx.fillStyle = ctx.strokeStyle = colour
    ctx.setLineDash([4, 4])
    ctx.font = `${11 * devicePixelRatio}px system-ui`
    const end = bbox.left + bbox.width
    let free = bbox.left
    for (const { at, label } of markers.toSorted((a, b) => a.at - b.at)) {
      const x = valToPos(at, 'x', true)
      if (x < bbox.left || x > end) continue
      ctx.beginPath()
      ctx.moveTo(x, bbox.top)
      ctx.lineTo(x, bbox.top + bbox.height)
      ctx.stroke()
      const { width } = ctx.measureText(label)
      const isLeft = x + 4 + width > end
      // Of markers at about the same time only the first is named.
      if ((isLeft ? x - width : x) < free) continue
      ctx.textAlign = isLeft ? 'right' : 'left'
      ctx.fillText(label, isLeft ? x - 4 : x + 4, bbox.top + 12 * devicePixelRatio)
      free = isLeft ? x : x + width + 8
    }
    ctx.restore()
  }

  /** A range that was dragged over is a filter of the list that the chart leads to. */
  function followRange(plot, element) {
    const { left, width } = plot.select
    if (width < 3 || !element.dataset.range) return
    const timeAt = (x) => exact(new Date(plot.posToVal(x, 'x') * 1000), true).replace(' ', 'T')
    const address = new URL(element.dataset.range, location.href)
    address.searchParams.set('since', timeAt(left))
    address.searchParams.set('until', timeAt(left + width))
    location.assign(address)
  }

  function optionsOf(element, chart) {
    const colour = colourOf(element, '--muted')
    const axis = { stroke: colour, grid: { stroke: colourOf(element, '--line'), width: 1 } }
    const atTime = (at) => clock(new Date(at * 1000)).slice(0, 5)
    const isLow = element.classList.contains('low')
    // Wide enough for the longest, such as “2,000 ms”; narrower ones stand alike below each other.
    const roomFor = (_, texts) =>
      Math.max(64, 20 + 7 * Math.max(...(texts ?? []).map(({ length }) => length), 0))
    const numbers = (_, values) => values.map((value) => `${inNumbers(value)}${chart.unit}`)
    return {
      width: Math.max(element.clientWidth, 200),
      height: isLow ? LOW_HEIGHT : CHART_HEIGHT,
      legend: { show: !isLow },
      cursor: { drag: { x: Boolean(element.dataset.range), y: false, setScale: false } },
      series: [
        { label: tr('Time'), value: (_, at) => (at == null ? tr('all') : atTime(at)) },
        ...seriesOf(element, chart),
      ],
      axes: [
        { ...axis, values: (_, seconds) => seconds.map(atTime) },
        { ...axis, values: numbers, size: roomFor, space: isLow ? 40 : 30 },
      ],
      scales: {
        // The last bar begins at its time: it needs room for what it counts.
        x: {
          range: ({ data: [at] }, min, max) => [min, max + (at.length > 1 ? at[1] - at[0] : 60)],
        },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.1 : 1] },
      },
      hooks: {
        draw: [(plot) => drawMarkers(plot, chart.markers, colour)],
        setSelect: [(plot) => followRange(plot, element)],
      },
    }
  }

  /** Draws a chart, or gives the drawn one its new figures. */
  function draw(element) {
    const drawn = plots.get(element)
    if (drawn?.source === element.dataset.chart) return
    const chart = JSON.parse(element.dataset.chart)
    const data = chart.kind === 'bars' ? stacked(chart.data) : chart.data
    if (drawn) {
      Object.assign(drawn.chart, chart)
      drawn.source = element.dataset.chart
      return drawn.plot.setData(data)
    }
    const plot = new uPlot(optionsOf(element, chart), data, element)
    plots.set(element, { plot, chart, source: element.dataset.chart })
    const { height } = plot
    new ResizeObserver(() => {
      plot.setSize({ width: Math.max(element.clientWidth, 200), height })
    }).observe(element)
  }

  /** In the colours and the zone that were chosen meanwhile. */
  function redraw(element) {
    plots.get(element)?.plot.destroy()
    plots.delete(element)
    if (window.uPlot) draw(element)
  }

  function enhance() {
    for (const time of all('time[data-time]')) showTime(time)
    for (const element of all('[data-countdown]')) countDown(element)
    for (const field of all('input[data-utc]')) followZone(field)
    for (const table of all('[data-columns]')) showColumns(table.dataset.columns)
    if (window.uPlot) for (const element of all('[data-chart]')) draw(element)
  }

  // A row opens beside its list where there is room for both; the list stays, and the address says what is open.

  const WIDE = matchMedia('(min-width: 75rem)')
  let panel
  const rowOf = (path) => document.querySelector(`.list .lead[href="${CSS.escape(path)}"]`)

  function closePanel() {
    const lead = panel?.lead
    panel?.element.remove()
    panel = undefined
    for (const row of all('.list tr.open')) row.classList.remove('open')
    history.replaceState(null, '', location.pathname + location.search)
    lead?.focus()
  }

  function createPanel(lead) {
    const element = document.createElement('aside')
    element.className = 'panel'
    element.setAttribute('aria-label', tr('Details'))
    element.innerHTML =
      '<header><a class="button quiet"></a>' +
      '<button type="button" class="quiet" data-closes="panel"></button></header><div></div>'
    element.querySelector('a').textContent = tr('Open full page')
    element.querySelector('button').textContent = tr('Close')
    document.body.append(element)
    return { element, lead }
  }

  async function openPanel(lead) {
    const path = lead.getAttribute('href')
    const answer = await fetch(path).catch(() => null)
    if (!answer?.ok) return location.assign(path)
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
    const isCharted = page.querySelector('[data-chart]') && !window.uPlot
    if (answer.redirected || isCharted) return location.assign(path)
    panel ??= createPanel(lead)
    panel.lead = lead
    panel.element.querySelector('a').href = path
    const content = panel.element.querySelector('div')
    content.replaceChildren(...page.getElementById('main').children)
    panel.element.scrollTop = 0
    for (const row of all('.list tr')) row.classList.toggle('open', row.contains(lead))
    history.replaceState(null, '', `#open=${path}`)
    htmx.process(content)
    enhance()
    say(tr('Opened beside the list'))
  }

  function onLead(event, lead) {
    const { button, ctrlKey, metaKey, shiftKey, altKey } = event
    const isPlain = button === 0 && !(ctrlKey || metaKey || shiftKey || altKey)
    if (!isPlain || !WIDE.matches || lead.closest('.panel')) return
    event.preventDefault()
    void openPanel(lead)
  }

  function reopenPanel() {
    const path = /^#open=(\/.*)$/.exec(location.hash)?.[1]
    const lead = path && rowOf(path)
    if (lead && WIDE.matches) void openPanel(lead)
  }

  // Keys: rows by j and k, a field to search by /, help by ?.

  const isTyping = ({ target }) => target.closest?.('input, select, textarea, [contenteditable]')

  function moveRow(step) {
    const leads = [...all('main .list .lead')]
    const from = document.activeElement?.closest('tr')?.querySelector('.lead') ?? panel?.lead
    const at = leads.indexOf(from)
    const next = leads[at === -1 ? 0 : Math.min(Math.max(at + step, 0), leads.length - 1)]
    if (!next) return
    next.focus()
    next.closest('tr').scrollIntoView({ block: 'nearest' })
    if (panel && next !== panel.lead) void openPanel(next)
  }

  const KEYS = {
    j: () => moveRow(1),
    k: () => moveRow(-1),
    '/': openSearch,
    '?': () => document.getElementById('keys')?.showModal(),
    Escape: () => panel && closePanel(),
  }

  /** The box for everything; where there is none, the field of the list. */
  function openSearch() {
    const dialog = document.getElementById('search')
    if (!dialog) return document.querySelector('main input[name=search]')?.focus()
    if (!dialog.open) dialog.showModal()
    dialog.querySelector('input').select()
  }

  /** From the box to what it has found, and back. */
  function moveHit(event) {
    const dialog = event.target.closest?.('#search')
    if (!dialog || !/^Arrow(Up|Down)$/.test(event.key)) return
    const stops = [dialog.querySelector('input'), ...all('.hits .lead', dialog)]
    const at = stops.indexOf(document.activeElement) + (event.key === 'ArrowDown' ? 1 : -1)
    event.preventDefault()
    stops[Math.min(Math.max(at, 0), stops.length - 1)].focus()
  }

  function onKey(event) {
    const { key, ctrlKey, metaKey, altKey } = event
    moveHit(event)
    if ((ctrlKey || metaKey) && key === 'k' && document.getElementById('search')) {
      event.preventDefault()
      return openSearch()
    }
    if (ctrlKey || metaKey || altKey || isTyping(event)) return
    // A dialog and a menu have Esc to themselves.
    if (document.querySelector('dialog:modal, :popover-open') || !KEYS[key]) return
    if (key !== 'Escape') event.preventDefault()
    KEYS[key]()
  }

  // What is asked for again and again says when it was, stops while nobody sees it, and can be stopped.

  let refreshedAt = Date.now()
  let isStopped = false
  const isPolled = (element) => /^every/.test(element?.getAttribute?.('hx-trigger') ?? '')

  function sayRefreshed() {
    const polled = document.querySelector('main [hx-trigger^="every"]')
    let note = document.getElementById('refreshed')
    if (!polled) return note?.remove()
    if (!note) {
      note = document.createElement('p')
      note.id = 'refreshed'
      note.className = 'refreshed'
      note.innerHTML = '<span></span><button type="button" class="quiet" data-stops></button>'
      note.querySelector('button').textContent = tr('Pause')
      document.querySelector('main h1')?.after(note)
    }
    const seconds = Math.round((Date.now() - refreshedAt) / 1000)
    const text =
      seconds < 2 ? tr('Updated just now') : tr('Updated {span} ago', { span: inWords(seconds) })
    note.querySelector('span').textContent = isStopped ? tr('Paused. {text}', { text }) : text
  }

  function onStop(button) {
    isStopped = !isStopped
    button.textContent = tr(isStopped ? 'Resume' : 'Pause')
    sayRefreshed()
  }

  function onRequest(event) {
    const isIdle = document.hidden || isStopped
    if (isIdle && isPolled(event.target)) event.preventDefault()
  }

  // Focus stays where it is when a part of the page is replaced.

  let focused
  function rememberFocus() {
    focused = document.activeElement && selectorOf(document.activeElement)
  }

  /** By which the same thing is found again; a button by the form that it sends. */
  function selectorOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`
    const href = element.getAttribute('href')
    if (href) return `[href="${CSS.escape(href)}"]`
    const action = element.form?.getAttribute('action')
    if (!action) return undefined
    const value = element.value ? `[value="${CSS.escape(element.value)}"]` : ''
    return `[action="${CSS.escape(action)}"] ${element.localName}${value}`
  }

  /** The icon of the tab and the number beside the navigation; htmx itself takes over the title. */
  function showTrouble({ text, title = '' }) {
    const icon = /<link rel="icon" href="([^"]+)"/.exec(text)?.[1]
    if (!icon) return
    document.querySelector('link[rel=icon]').href = icon
    const count = /^\((\d+)\)/.exec(title.trim())?.[1] ?? ''
    const shown = [...all('[data-trouble]')]
    // A number that changes says so to those who do not see it.
    if (shown.some((element) => element.textContent.trim() !== count))
      say(tr('Open incidents: {count}', { count: count || 0 }))
    for (const element of shown) element.textContent = count
  }

  function onSwapped({ target, detail }) {
    if (target.closest?.('main')) {
      refreshedAt = Date.now()
      showTrouble(detail.ctx)
    }
    if (focused && document.activeElement === document.body)
      document.querySelector(focused)?.focus()
    enhance()
    sayRefreshed()
  }

  // Forms.

  /** Known by themselves: a part of the page that is refreshed meanwhile loses what was noted on its elements. */
  let onTheirWay = new WeakSet()

  /** A form that is on its way is not sent a second time. */
  function onSubmit(event) {
    const { target: form, submitter } = event
    if (form.dataset.saves) saveView(form)
    if (form.method === 'dialog') return
    if (form.method === 'get') {
      // Empty filters would make long addresses.
      for (const field of form.elements) if (field.value === '') field.disabled = true
      return
    }
    if (onTheirWay.has(form)) return event.preventDefault()
    onTheirWay.add(form)
    submitter?.setAttribute('aria-busy', 'true')
  }

  /** Back in history finds forms as they were left. */
  function resetForms() {
    for (const field of all('form[method=get] :disabled')) field.disabled = false
    onTheirWay = new WeakSet()
    for (const button of all('button[aria-busy]')) button.removeAttribute('aria-busy')
  }

  // Browsers open and close dialogs themselves; those before 2025 need help.
  const opensDialogs = 'command' in HTMLButtonElement.prototype

  function onClick(event) {
    const { target } = event
    for (const menu of all('.filters details[open]')) menu.open = menu.contains(target)
    const lead = target.closest?.('.list .lead')
    if (lead) return onLead(event, lead)
    const button = target.closest?.('button')
    if (button?.dataset.closes) return closePanel()
    if (button?.dataset.stops !== undefined) return onStop(button)
    if (button?.dataset.copy !== undefined) return void onCopy(button)
    if (button?.dataset.deletes !== undefined) {
      return changeView(button.closest('[data-views]').dataset.views, button.dataset.deletes)
    }
    if (opensDialogs || !button?.getAttribute('commandfor')) return
    const dialog = document.getElementById(button.getAttribute('commandfor'))
    if (button.getAttribute('command') === 'close') dialog.close()
    else dialog.showModal()
  }

  document.addEventListener('click', onClick)
  document.addEventListener('keydown', onKey)
  document.addEventListener('submit', onSubmit)
  document.addEventListener('change', ({ target }) => {
    if (target.dataset.display) onDisplay(target)
    if (target.dataset.shows) onColumn(target)
  })
  for (const type of ['focusin', 'input']) document.addEventListener(type, onSuggest)
  window.addEventListener('pageshow', resetForms)
  document.addEventListener('htmx:before:request', onRequest)
  document.addEventListener('htmx:before:swap', rememberFocus)
  document.addEventListener('htmx:after:swap', onSwapped)
  setInterval(() => {
    for (const element of all('[data-countdown]')) countDown(element)
    if (document.hidden) return
    for (const time of all('time[data-time]')) showTime(time)
    sayRefreshed()
  }, 1000)
  // A form that was refused opens again, above the page as it was.
  for (const dialog of all('dialog[open]')) {
    dialog.close()
    dialog.showModal()
  }
  for (const list of all('[data-views]')) showViews(list)
  enhance()
  reopenPanel()
  globalThis.postrider = { enhance, say, inWords, tr }
})()
