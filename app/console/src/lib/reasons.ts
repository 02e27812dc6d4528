/** Why not, in words of the language: by the reason's short name, else in the server's sentence. */
import { useWords } from '@/i18n'
import type { Reason } from '@/typesRouting'

export function useReasons() {
  const { t, te, word } = useWords()

  /** "NOT_READY (break)" as the API writes it, in our words. */
  function stateWords(state: string, reason = ''): string {
    const said = word('state', state)
    return reason ? `${said} (${word('reason', reason)})` : said
  }

  function parts(facts: Reason['facts']): [state: string, reason: string] {
    const found = /^(\w+)(?: \((.*)\))?$/.exec(String(facts.state ?? ''))
    return [found?.[1] ?? '', found?.[2] ?? '']
  }

  function words(why: Reason): string {
    const key = `whyReason.${why.reason}`
    if (!te(key)) return why.words
    return t(key, why.reason === 'state' ? { ...why.facts, state: stateWords(...parts(why.facts)) } : why.facts)
  }

  function hint(why: Reason): string {
    const [state, reason] = parts(why.facts)
    const id = why.reason === 'state' ? (reason === 'rona' ? 'rona' : state) : why.reason
    return te(`whyHint.${id}`) ? t(`whyHint.${id}`) : why.hint
  }

  return { words, hint, stateWords }
}
