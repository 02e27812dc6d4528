/** A question to the server that is asked again every so often while somebody looks; the last answer stays meanwhile. */
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from 'vue'

export interface Polled<T> {
  answer: ShallowRef<T | null>
  error: ShallowRef<unknown>
  asking: Ref<boolean>
  ask: () => Promise<void>
}

/** Asks whenever `key` changes to something, and then every `everyMs`; an empty key asks nothing. */
export function usePolled<T>(key: () => string, ask: (key: string) => Promise<T>, everyMs: number): Polled<T> {
  const answer = shallowRef<T | null>(null)
  const error = shallowRef<unknown>(null)
  const asking = ref(false)
  let timer: ReturnType<typeof setTimeout> | undefined
  let turn = 0

  async function once(): Promise<void> {
    clearTimeout(timer)
    const mine = ++turn
    const about = key()
    if (!about) return
    asking.value = true
    try {
      const found = await ask(about)
      if (mine !== turn) return
      answer.value = found
      error.value = null
    } catch (fault) {
      if (mine === turn) error.value = fault
    }
    if (mine !== turn) return
    asking.value = false
    timer = setTimeout(() => (document.hidden ? (timer = setTimeout(once, everyMs)) : void once()), everyMs)
  }
  watch(
    key,
    () => {
      answer.value = null
      error.value = null
      void once()
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    turn++
    clearTimeout(timer)
  })
  return { answer, error, asking, ask: once }
}
