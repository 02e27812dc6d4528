/** One's own call and the verbs for it. Kept over a reload of this window; `lib/handling.ts` decides what is believed. */
import { computed, ref, shallowRef, watch, type Ref } from 'vue'
import { api } from '@/api'
import { useWords } from '@/i18n'
import { useFaults } from '@/lib/faults'
import { afterAnswer, afterFeed, otherIn, type InHands } from '@/lib/handling'
import { useLive } from '@/live/feed'
import type { BoardCall } from '@/types'
import type { ControlAction, Handled, Target } from '@/typesRouting'

const KEY = 'aftercall.hands'

function remembered(): InHands | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as InHands | null
  } catch {
    return null
  }
}

export function useInHands(call: Ref<BoardCall | undefined>, me: Ref<string>) {
  const { t } = useWords()
  const { agents, board } = useLive()
  const fault = useFaults()
  const hands = shallowRef<InHands | null>(null)
  const failure = ref('')
  const told = ref('')
  const busy = ref(false)

  const other = computed(() => (call.value ? otherIn(agents.value, call.value, me.value) : undefined))
  watch(
    () => {
      const it = call.value
      return [it?.id, it?.agent, it?.state, it?.since, it?.doing, it?.doing_by, it?.muted, it?.target, other.value?.id, other.value?.state].join(' ')
    },
    () => {
      const before = hands.value ?? remembered()
      hands.value = afterFeed(before, call.value, other.value, me.value)
      if (call.value && before?.id === call.value.id) return
      failure.value = ''
      if (call.value) told.value = ''
    },
    { immediate: true },
  )
  watch(hands, (now) => {
    // Without a feed yet, what was remembered stays: it is judged by the first picture.
    if (now) sessionStorage.setItem(KEY, JSON.stringify(now))
  })

  const targetName = computed(() => {
    const now = hands.value
    if (!now?.target) return t('control.somebody')
    if (now.kind === 'queue' && other.value) return other.value.name || other.value.id
    return now.kind === 'agent' ? board.value.agents[now.target]?.name || now.target : now.target
  })

  async function attempt(act: () => Promise<Handled>, said = ''): Promise<boolean> {
    if (busy.value) return false
    busy.value = true
    failure.value = ''
    told.value = ''
    try {
      const found = await act()
      if (found.doing === 'gone') told.value = said
      else if (call.value?.id === found.interaction_id) hands.value = afterAnswer(found, hands.value)
      return true
    } catch (error) {
      failure.value = t('control.failed', { why: fault(error) })
      return false
    } finally {
      busy.value = false
    }
  }

  const control = (action: ControlAction): Promise<boolean> => {
    const id = call.value?.id
    return id ? attempt(() => api.control(id, action), action === 'park' ? t('control.said.park') : t('control.said.transfer')) : Promise.resolve(false)
  }
  const give = (target: Target, ask: boolean): Promise<boolean> => {
    const id = call.value?.id
    if (!id) return Promise.resolve(false)
    return attempt(() => (ask ? api.consult(id, target) : api.transfer(id, target)), t('control.said.transfer'))
  }
  return { hands, other, targetName, failure, told, busy, control, give }
}
