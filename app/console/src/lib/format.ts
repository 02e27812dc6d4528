/** How values are written for people. Pure; the locale comes in as a parameter. */
import type { Money, Words } from '@/types'

/** 75 → "1:15", 3700 → "1:01:40"; never negative. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const rest = String(whole % 60).padStart(2, '0')
  const minutes = Math.floor(whole / 60)
  if (minutes < 60) return `${minutes}:${rest}`
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}:${rest}`
}

export function sinceSeconds(iso: string | null, nowMs: number): number {
  return iso ? Math.max(0, (nowMs - Date.parse(iso)) / 1000) : 0
}

/** +8613812345678 → "+86 138 1234 5678"; masked or short numbers are grouped alike, anything else stays. */
export function phone(number: string): string {
  const chinese = /^(\+86)([\d*]{3})([\d*]{4})([\d*]{4})$/.exec(number)
  if (chinese) return chinese.slice(1).join(' ')
  const american = /^(\+1)([\d*]{3})([\d*]{3})([\d*]{4})$/.exec(number)
  if (american) return american.slice(1).join(' ')
  const other = /^(\+\d{2})([\d*]{6,12})$/.exec(number)
  if (other) return `${other[1]} ${other[2]!.replace(/(.{3})(?=.{2})/g, '$1 ')}`
  return number
}

export function money(value: Money, locale: string): string {
  const style = { style: 'currency', currency: value.currency, currencyDisplay: 'narrowSymbol' } as const
  return new Intl.NumberFormat(locale, style).format(Number(value.amount))
}

export function day(iso: string | null, locale: string): string {
  if (!iso) return ''
  const plain = /^\d{4}-\d{2}-\d{2}$/.test(iso)
  const options: Intl.DateTimeFormatOptions = { month: 'short', day: 'numeric', ...(plain ? { timeZone: 'UTC' } : {}) }
  const date = new Date(iso)
  if (date.getFullYear() !== new Date().getFullYear()) options.year = 'numeric'
  return new Intl.DateTimeFormat(locale, options).format(date)
}

export function dayTime(iso: string | null, locale: string): string {
  if (!iso) return ''
  const options: Intl.DateTimeFormatOptions = { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false }
  return new Intl.DateTimeFormat(locale, options).format(new Date(iso))
}

export function clockTime(iso: string, locale: string, seconds = true): string {
  const options: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hour12: false }
  if (seconds) options.second = '2-digit'
  return new Intl.DateTimeFormat(locale, options).format(new Date(iso))
}

export function fullTime(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', hour12: false } as Intl.DateTimeFormatOptions).format(
    new Date(iso),
  )
}

/** The text of the language, or the other one where it is missing. */
export function words(text: Words, locale: string): string {
  return locale.startsWith('zh') ? text.zh || text.en : text.en || text.zh
}

/** Service level, variant sl_offered = answered within T / (answered + abandoned); null without calls. */
export function serviceLevel(answeredInT: number, answered: number, abandoned: number): number | null {
  const offered = answered + abandoned
  return offered ? answeredInT / offered : null
}
