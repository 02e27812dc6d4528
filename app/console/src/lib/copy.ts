/** Puts a text into the clipboard and says for a moment that it is there. */
import { ref } from 'vue'

export function useCopy() {
  const copied = ref('')
  async function copy(text: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      const area = document.createElement('textarea')
      area.value = text
      document.body.append(area)
      area.select()
      document.execCommand('copy')
      area.remove()
    }
    copied.value = text
    setTimeout(() => (copied.value === text ? (copied.value = '') : undefined), 1600)
  }
  return { copied, copy }
}
