import { Icon } from './icons.tsx'

/** Opens the dialog, also without our script; by `/` and ⌘K with it. */
export function SearchButton() {
  return (
    <button
      type="button"
      class="find"
      command="show-modal"
      commandfor="search"
      title="Search (/ or Ctrl-K)"
    >
      <Icon of="search" /> Search <kbd>/</kbd>
    </button>
  )
}

/** One box for everything: names while somebody types, and the data of events after Enter. */
export function SearchDialog({ path }: { path: string }) {
  return (
    <dialog id="search" class="search" aria-labelledby="search-title" closedby="any">
      <h2 id="search-title">Search</h2>
      <search>
        <form method="get" action={path}>
          <label class="hidden" for="search-text">
            Search everything
          </label>
          <input
            id="search-text"
            type="search"
            name="q"
            autofocus
            autocomplete="off"
            spellcheck={false}
            placeholder="ID, tenant, URL, key, or text in the data"
            hx-get={`${path}?quick=yes`}
            hx-trigger="input changed delay:250ms"
            hx-target="#search-found"
            hx-select="#found"
            hx-swap="innerHTML ignoreTitle:true"
          />
        </form>
      </search>
      <div id="search-found" role="status" />
      <form method="dialog" class="actions">
        <button type="submit">Close</button>
      </form>
    </dialog>
  )
}
