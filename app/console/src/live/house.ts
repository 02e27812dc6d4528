/** What does not work in the house, as `GET /health` tells it: asked every few seconds, also before anybody is logged in. */
import { readonly, shallowRef } from 'vue'

export interface Part {
  name: string
  state: 'ok' | 'degraded' | 'down'
  words: string
  means: string
}

const EVERY_MS = 4000
const parts = shallowRef<Part[]>([])
let timer: ReturnType<typeof setTimeout> | undefined

async function look(): Promise<void> {
  clearTimeout(timer)
  if (!document.hidden) {
    try {
      const answer = await fetch('/health', { credentials: 'omit', signal: AbortSignal.timeout(3000) })
      const report = (await answer.json()) as { parts: Part[] }
      const found = report.parts.filter((part) => part.state !== 'ok')
      if (JSON.stringify(found) !== JSON.stringify(parts.value)) parts.value = found
    } catch {
      // Nobody answers: the live feed says so; what was known of the parts is all that is known.
    }
  }
  timer = setTimeout(look, EVERY_MS)
}

/** Begins to ask; the page does it once. */
export function watchHouse(): void {
  document.addEventListener('visibilitychange', () => void look())
  void look()
}

export const troubledParts = readonly(parts)
