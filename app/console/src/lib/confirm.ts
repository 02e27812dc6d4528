/** Asks before something disturbs somebody. One question at a time; `ConfirmSheet.vue` shows it. */
import { shallowRef } from 'vue'

export interface Question {
  title: string
  text: string
  /** What the button says. */
  act: string
}

export const question = shallowRef<Question | null>(null)
let settle: (yes: boolean) => void = () => undefined

export function answer(yes: boolean): void {
  question.value = null
  settle(yes)
  settle = () => undefined
}

export function confirmed(asked: Question): Promise<boolean> {
  answer(false)
  question.value = asked
  return new Promise((resolve) => (settle = resolve))
}
