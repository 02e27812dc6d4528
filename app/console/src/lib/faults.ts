/** What went wrong, in words for people: by the refusal's stable id, else in the server's own. */
import { Problem } from '@/api'
import { useWords } from '@/i18n'

export function useFaults() {
  const { t, te } = useWords()
  /** Rethrows what is no refusal of the server's. */
  return (error: unknown): string => {
    if (!(error instanceof Problem)) throw error
    const key = `fault.${error.id}`
    return te(key) ? t(key) : [error.message, error.detail].filter(Boolean).join(' ')
  }
}
