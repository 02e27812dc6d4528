/**
 * What a supervisor does to agents and their calls: each verb asks first where it disturbs somebody, and says what came of it.
 *
 * Whom one stands beside is kept for this window; that it is over is seen in the live feed: the call has ended, or one's own
 * phone was in use and is not any more.
 */
import { computed, ref, watch } from 'vue'
import { api } from '@/api'
import { useWords } from '@/i18n'
import { confirmed } from '@/lib/confirm'
import { useFaults } from '@/lib/faults'
import { useReasons } from '@/lib/reasons'
import { useLive } from '@/live/feed'
import { useSession } from '@/session'
import type { BoardAgent, BoardCall } from '@/types'
import type { BesideTalk, ForcedState, Mode } from '@/typesRouting'

const beside = ref<BesideTalk | null>(null)
const joined = ref(false)
const told = ref('')
const failure = ref('')
const busy = ref(false)
const BUSY_STATES = ['RESERVED', 'ENGAGED', 'WRAP_UP']

/** Forgets whom one stood beside when that is over. To be called once, by what stays open. */
export function watchBeside(): void {
  const { board } = useLive()
  watch(
    () => {
      const talk = beside.value
      if (!talk) return ''
      const call = board.value.calls[talk.interaction_id]
      return `${call?.state ?? 'gone'} ${board.value.agents[talk.extension]?.in_use ?? false}`
    },
    (now) => {
      if (!now) return
      const [state, inUse] = now.split(' ')
      if (inUse === 'true') joined.value = true
      if ((inUse === 'false' && joined.value) || !['talking', 'held'].includes(state!)) beside.value = null
    },
  )
}

export function useSupervising() {
  const { t } = useWords()
  const { me } = useSession()
  const { board } = useLive()
  const fault = useFaults()
  const { stateWords } = useReasons()

  const talkOf = (agent: BoardAgent): BoardCall | undefined => {
    const call = board.value.calls[agent.call]
    return call && call.agent === agent.id && ['talking', 'held'].includes(call.state) ? call : undefined
  }

  /** Why one's own phone cannot be used for it now; empty when it can. */
  const phoneNot = computed(() => {
    const own = me.value?.extension ?? ''
    if (!own) return t('supervise.noPhone')
    const phone = board.value.agents[own]
    if (!phone?.reachable) return t('supervise.phoneGone')
    return phone.in_use || ['RESERVED', 'ENGAGED'].includes(phone.state) ? t('supervise.phoneBusy') : ''
  })

  /** Why one cannot stand beside this agent's call; empty when one can. */
  function besideNot(agent: BoardAgent, call: BoardCall | undefined): string {
    if (!call) return t('supervise.noCall')
    if (agent.id === me.value?.extension) return t('supervise.own')
    return beside.value?.interaction_id === call.id ? '' : phoneNot.value
  }

  async function attempt(act: () => Promise<string>): Promise<void> {
    if (busy.value) return
    busy.value = true
    failure.value = ''
    told.value = ''
    try {
      told.value = await act()
    } catch (error) {
      failure.value = t('supervise.failed', { why: fault(error) })
    } finally {
      busy.value = false
    }
  }

  async function setState(agent: BoardAgent, state: ForcedState, reason = ''): Promise<void> {
    const name = agent.name || agent.id
    const said = stateWords(state, reason)
    const means = talkOf(agent) ? 'talking' : state === 'READY' ? 'ready' : 'out'
    const text = `${t(`supervise.confirm.${means}`)} ${t('supervise.confirm.stateText', { name })}`
    if (!(await confirmed({ title: t('supervise.confirm.state', { name, state: said }), text, act: t('supervise.confirm.do') }))) return
    await attempt(async () => {
      const later = (await api.setState(agent.id, state, reason))?.wanted || (BUSY_STATES.includes(agent.state) && talkOf(agent))
      return t(later ? 'supervise.setLater' : 'supervise.set', { name, state: said })
    })
  }

  async function standBeside(agent: BoardAgent, call: BoardCall, mode: Exclude<Mode, 'leave'>): Promise<void> {
    const name = agent.name || agent.id
    if (mode !== 'monitor') {
      const asked = { title: t(`supervise.confirm.${mode}`, { name }), text: t(`supervise.confirm.${mode}Text`, { name }), act: t(`supervise.${mode}`) }
      if (!(await confirmed(asked))) return
    }
    await attempt(async () => {
      const before = beside.value
      const found = await api.supervise(call.id, mode)
      if (before?.interaction_id !== call.id) joined.value = false
      beside.value = found
      return ''
    })
  }

  async function takeOver(agent: BoardAgent, call: BoardCall): Promise<void> {
    const name = agent.name || agent.id
    const asked = { title: t('supervise.confirm.takeOver', { name }), text: t('supervise.confirm.takeOverText', { name }), act: t('supervise.takeOver') }
    if (!(await confirmed(asked))) return
    await attempt(async () => {
      await api.takeOver(call.id)
      beside.value = null
      return t('supervise.takingOver')
    })
  }

  async function leave(): Promise<void> {
    const talk = beside.value
    if (!talk) return
    await attempt(async () => {
      await api.supervise(talk.interaction_id, 'leave')
      beside.value = null
      return ''
    })
  }

  return { beside, joined, told, failure, busy, talkOf, besideNot, setState, standBeside, takeOver, leave }
}
