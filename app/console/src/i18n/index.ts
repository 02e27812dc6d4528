/** The two languages of the console: the browser's at first, then what was chosen, remembered. */
import { computed } from 'vue'
import { createI18n, useI18n } from 'vue-i18n'
import { en } from './en'
import { zh } from './zh'

export type Locale = 'en' | 'zh'
const KEY = 'aftercall.language'

function remembered(): Locale {
  const chosen = localStorage.getItem(KEY)
  if (chosen === 'en' || chosen === 'zh') return chosen
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

function show(locale: Locale): void {
  document.documentElement.lang = locale === 'zh' ? 'zh-CN' : 'en'
}

export const i18n = createI18n({
  legacy: false,
  locale: remembered(),
  fallbackLocale: 'en',
  messages: { en, zh },
  missingWarn: false,
  fallbackWarn: false,
  missing: (language, key) => {
    console.error(`no text for ${key} in ${language}`)
  },
})
show(i18n.global.locale.value as Locale)

export function useWords() {
  const { t, te, locale } = useI18n({ useScope: 'global' })
  return {
    t,
    te,
    locale: computed(() => (locale.value === 'zh' ? 'zh-CN' : 'en-GB')),
    /** The text of a stable id from the server; the id itself when it is newer than this console. */
    word: (group: string, id: string, values: Record<string, unknown> = {}): string =>
      id && te(`${group}.${id}`) ? t(`${group}.${id}`, values) : id,
    switchLanguage(): void {
      locale.value = locale.value === 'zh' ? 'en' : 'zh'
      localStorage.setItem(KEY, locale.value)
      show(locale.value as Locale)
    },
  }
}
