/** A policy's text while it is edited: checked as one types, published against the version it was made from. */
import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import { api, Problem } from '@/api'
import { useWords } from '@/i18n'
import { useFaults } from '@/lib/faults'
import type { Policy, PolicyProblem } from '@/typesRouting'

const PAUSE_MS = 400

export function usePolicyDesk() {
  const { t } = useWords()
  const fault = useFaults()
  const current = shallowRef<Policy | null>(null)
  /** The version the text was made from, with its text. */
  const base = shallowRef<Policy | null>(null)
  /** What somebody else has published meanwhile. */
  const newer = shallowRef<Policy | null>(null)
  const text = ref('')
  const problems = shallowRef<PolicyProblem[]>([])
  const checkedText = ref<string | null>(null)
  const checkFailure = ref('')
  const failure = ref('')
  const told = ref('')
  const busy = ref(false)
  const changed = computed(() => base.value !== null && text.value !== base.value.text)
  const checked = computed(() => checkedText.value === text.value)
  let timer: ReturnType<typeof setTimeout> | undefined

  function take(policy: Policy): void {
    current.value = base.value = policy
    newer.value = null
    text.value = policy.text
  }

  async function load(): Promise<void> {
    try {
      take(await api.policy())
    } catch (error) {
      failure.value = fault(error)
    }
  }

  async function check(): Promise<void> {
    const asked = text.value
    try {
      const found = await api.checkPolicy(asked)
      if (asked !== text.value) return
      problems.value = found.problems
      checkFailure.value = ''
      checkedText.value = asked
    } catch (error) {
      if (asked === text.value) checkFailure.value = fault(error)
    }
  }
  watch(text, () => {
    clearTimeout(timer)
    timer = setTimeout(() => void check(), PAUSE_MS)
  })
  onScopeDispose(() => clearTimeout(timer))

  /** True when it is in force now. A conflict is told in `newer`, with all that was written kept. */
  async function publishing(act: (revision: number) => Promise<Policy>): Promise<boolean> {
    busy.value = true
    failure.value = ''
    told.value = ''
    try {
      const now = await act(base.value?.version ?? 0)
      take(now)
      told.value = t('policy.published', { n: now.version })
      return true
    } catch (error) {
      if (error instanceof Problem && error.id === 'routing:policy-changed') newer.value = await api.policy()
      else failure.value = t('policy.failed', { why: fault(error) })
      if (error instanceof Problem && error.id === 'routing:policy') await check()
      return false
    } finally {
      busy.value = false
    }
  }

  return {
    base, current, newer, text, problems, checked, checkFailure, failure, told, busy, changed, load, take,
    publish: (note: string) => publishing((revision) => api.publishPolicy(text.value, revision, note)),
    rollBack: (version: number, note: string) => publishing((revision) => api.rollBackPolicy(version, revision, note)),
    /** Goes on with one's own text, on top of what is newer. */
    keepMine(): void {
      if (newer.value) base.value = current.value = newer.value
      newer.value = null
    },
  } // prettier-ignore
}
