// The live view: rows come through a stream of server-sent events, made by the server; the newest is on top.
;(() => {
  /** More than anybody scrolls through; what is older goes, so that a page may stay open for weeks. */
  const ROWS_MAX = 500
  const RECONNECT_MS = 5_000

  const table = document.getElementById('live')
  if (!table) return
  const { tr } = postrider
  const rows = table.querySelector('tbody')
  const state = document.getElementById('live-state')
  const pause = document.getElementById('live-pause')
  const empty = document.getElementById('live-empty')
  const seen = document.getElementById('live-seen')
  /** What came while the view was paused or its tab hidden, newest last. */
  let waiting = []
  let seenAt
  /** When attempts came within the last minute. */
  let times = []
  let isPaused = false
  let dropped = 0

  function show(data) {
    empty.hidden = true
    rows.insertAdjacentHTML('afterbegin', data)
    postrider.enhance()
    while (rows.childElementCount > ROWS_MAX) rows.lastElementChild.remove()
  }

  function add(data) {
    seenAt = Date.now()
    times.push(seenAt)
    if (!isPaused && !document.hidden) return show(data)
    waiting.push(data)
    if (waiting.length > ROWS_MAX) {
      waiting.shift()
      dropped += 1
    }
    say()
  }

  function say(text) {
    const isWaiting = isPaused || document.hidden
    state.textContent = isWaiting ? pausedText() : (text ?? tr('Live'))
  }

  function pausedText() {
    const values = { count: waiting.length, dropped }
    if (dropped === 0) return tr('Paused; {count} waiting', values)
    return tr('Paused; {count} waiting, {dropped} more only in the list of deliveries', values)
  }

  pause.addEventListener('click', () => {
    isPaused = !isPaused
    pause.textContent = tr(isPaused ? 'Continue' : 'Pause')
    pause.setAttribute('aria-pressed', String(isPaused))
    catchUp()
  })

  /** Shows what waits, unless somebody still wants it to. */
  function catchUp() {
    if (!isPaused && !document.hidden) {
      for (const data of waiting.splice(0)) show(data)
      dropped = 0
    }
    say()
  }
  document.addEventListener('visibilitychange', catchUp)

  setInterval(() => {
    const now = Date.now()
    times = times.filter((at) => at > now - 60_000)
    if (document.hidden || seenAt === undefined) return
    const seconds = Math.round((now - seenAt) / 1000)
    const span = postrider.inWords(seconds)
    const last = seconds < 2 ? tr('Last attempt just now') : tr('Last attempt {span} ago', { span })
    seen.textContent = `${last} · ${tr('{count} in the last minute', { count: times.length })}`
  }, 1000)
  document.getElementById('live-clear').addEventListener('click', () => {
    rows.replaceChildren()
    waiting = []
    dropped = 0
    say()
  })

  /** Behind which attempt to go on; of a connection that the browser takes up again it says so itself. */
  let after = ''
  let source

  /** A view that is cut off before its first cursor cannot tell where to go on, so it is not live before. */
  function keepPlace({ lastEventId }) {
    const isFirst = !after
    after = lastEventId
    if (isFirst) say()
  }

  function follow() {
    const address = new URL(table.dataset.source, location.href)
    if (after) address.searchParams.set('after', after)
    source = new EventSource(address)
    source.addEventListener('open', () => after && say())
    source.addEventListener('attempt', (message) => {
      keepPlace(message)
      add(message.data)
    })
    source.addEventListener('cursor', keepPlace)
    source.addEventListener('gap', () => {
      say(tr('Live. Some attempts were missed: see the list of deliveries'))
    })
    source.addEventListener('end', ({ data }) => {
      if (JSON.parse(data).reason === 'key_over') location.reload()
    })
    source.addEventListener('error', ({ target }) => {
      say(tr('Connecting again …'))
      // The browser connects again by itself, but gives up where it is refused.
      if (target.readyState === EventSource.CLOSED) setTimeout(reconnect, RECONNECT_MS)
    })
  }

  /** A stream does not tell why it was refused, but the page does: anyone who is signed out has to sign in. */
  async function reconnect() {
    const part = { method: 'HEAD', headers: { 'hx-request': 'true' } }
    const { status } = await fetch(location.href, part).catch(() => ({ status: 0 }))
    if (status === 401) return location.reload()
    if (source.readyState === EventSource.CLOSED && !isAway) follow()
  }

  /** A page that somebody leaves is kept for when they come back. */
  let isAway = false
  window.addEventListener('pagehide', () => {
    isAway = true
    source.close()
  })
  window.addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return
    isAway = false
    void reconnect()
  })
  follow()
})()
