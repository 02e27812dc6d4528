/** Why, and what helps, in words of the language: by the reason's short name, else in the server's sentence. */
import { useWords } from '@/i18n'
import type { Reason } from '@/typesRouting'

export function useReasons() {
  const { t, te, word, locale } = useWords()

  function stateWords(state: string, because = ''): string {
    const said = word('state', state)
    return because ? `${said} (${word('reason', because)})` : said
  }

  function words(why: Reason): string {
    const key = `whyReason.${why.reason}`
    if (!te(key)) return why.words
    const { state, state_reason: because } = why.facts
    return t(key, state === undefined ? why.facts : { ...why.facts, state: stateWords(String(state), String(because ?? '')) })
  }

  const hint = (why: Reason): string => (te(`whyHint.${why.hint_id}`) ? t(`whyHint.${why.hint_id}`) : why.hint)
  /** Several of them as one text. */
  const all = (whys: Reason[]): string => whys.map(words).join(locale.value.startsWith('zh') ? '' : ' ')

  return { words, hint, all, stateWords }
}
