/** Single-key shortcuts: they work while nothing is typed into a field, and can be switched off. */
import { onScopeDispose, ref } from 'vue'

const KEY = 'aftercall.shortcuts'
export const shortcutsOn = ref(localStorage.getItem(KEY) !== 'off')
export const sheetOpen = ref(false)

export function setShortcuts(on: boolean): void {
  shortcutsOn.value = on
  localStorage.setItem(KEY, on ? 'on' : 'off')
}

function typing(event: KeyboardEvent): boolean {
  const target = event.target as HTMLElement | null
  return Boolean(target?.closest('input:not([type=radio]):not([type=checkbox]):not([type=range]), textarea, select, [contenteditable]'))
}

/** Calls `keys[key]` when that key is pressed; `modal` keys also work while a dialog is open. */
export function useShortcuts(keys: Record<string, (event: KeyboardEvent) => void>): void {
  const listen = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event)) return
    if (document.querySelector('[role=dialog], [role=menu]')) return
    if (!shortcutsOn.value && event.key !== '?') return
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]
    if (!act) return
    event.preventDefault()
    act(event)
  }
  addEventListener('keydown', listen)
  onScopeDispose(() => removeEventListener('keydown', listen))
}
