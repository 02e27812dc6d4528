/** One ticking clock for the whole page, in the server's time, so that "in this state for" agrees with the server. */
import { onScopeDispose, ref, type Ref } from 'vue'
import { useLive } from '@/live/feed'

const now = ref(Date.now())
let users = 0
let timer: ReturnType<typeof setInterval> | undefined

/** The server's time in milliseconds, moving twice a second while somebody looks. */
export function useNow(): { now: Ref<number>; serverNow: () => number } {
  const { skewMs } = useLive()
  if (users++ === 0) timer = setInterval(() => (now.value = Date.now()), 500)
  onScopeDispose(() => {
    if (--users === 0) clearInterval(timer)
  })
  return { now, serverNow: () => now.value + skewMs.value }
}
