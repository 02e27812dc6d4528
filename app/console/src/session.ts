/** Who is logged in here. */
import { computed, ref } from 'vue'
import { api, Problem } from '@/api'
import { closeFeed, openFeed } from '@/live/feed'
import type { Me } from '@/types'

const me = ref<Me | null>(null)
const known = ref(false)

function begin(found: Me): void {
  me.value = found
  openFeed(() => void check())
}

function end(): void {
  me.value = null
  closeFeed()
}

/** Asks the server who we are; ends the session here when it says nobody. Keeps it while the server cannot be reached. */
async function check(): Promise<void> {
  try {
    begin(await api.me())
  } catch (error) {
    if (error instanceof Problem && error.status === 401) end()
  } finally {
    known.value = true
  }
}

export function useSession() {
  return {
    me,
    known,
    isAgent: computed(() => Boolean(me.value?.extension)),
    isSupervisor: computed(() => Boolean(me.value?.roles.some((role) => role !== 'agent'))),
    isAdmin: computed(() => Boolean(me.value?.roles.includes('admin'))),
    check,
    end,
    async logIn(user: string, password: string): Promise<void> {
      begin(await api.logIn(user, password))
    },
    async logOut(): Promise<void> {
      try {
        await api.logOut()
      } finally {
        end()
      }
    },
  }
}
