/**
 * What an agent does with their caller now, as far as the live feed and the API's answers tell. Pure.
 *
 * The API answers each verb with what it came to; the feed tells what happens by itself: the caller is held or talks, and who
 * else is in the call. Invariant: what the feed tells later wins over an answer.
 */
import type { BoardAgent, BoardCall } from '@/types'
import type { Doing, Handled } from '@/typesRouting'

export interface InHands {
  id: string
  doing: Doing
  muted: boolean
  kind: string
  target: string
  /** The agent who was asked has been seen in the call. */
  met: boolean
}

const TOGETHER: Doing[] = ['swapped', 'conference']
const ASKING: Doing[] = ['asking', 'asked']

const fresh = (id: string, doing: Doing): InHands => ({ id, doing, muted: false, kind: '', target: '', met: false })

/** Whoever else is in this call: an agent who is asked, or is there already. */
export const otherIn = (agents: BoardAgent[], call: BoardCall): BoardAgent | undefined =>
  agents.find((agent) => agent.id !== call.agent && agent.call === call.id && ['RESERVED', 'ENGAGED'].includes(agent.state))

export function afterAnswer(said: Handled, before: InHands | null): InHands {
  const met = before?.id === said.interaction_id && before.target === said.target && before.met
  return { id: said.interaction_id, doing: said.doing, muted: said.muted, kind: said.target_kind, target: said.target, met }
}

/** What the feed makes of it; null when the agent has no caller (any more). */
export function afterFeed(now: InHands | null, call: BoardCall | undefined, other: BoardAgent | undefined): InHands | null {
  if (!call || !['talking', 'held'].includes(call.state)) return null
  const held = call.state === 'held'
  const mine = now?.id === call.id && now.doing !== 'gone' ? now : fresh(call.id, held ? 'held' : 'talking')
  if (other) {
    const named = mine.target ? mine : { ...mine, kind: 'agent', target: other.id }
    if (other.state === 'RESERVED') return { ...named, doing: 'asking', met: true }
    if (held) return { ...named, doing: 'asked', met: true }
    return { ...named, doing: TOGETHER.includes(mine.doing) ? mine.doing : 'swapped', met: true }
  }
  const unseen = mine.kind === 'number' || (!mine.met && mine.target !== '')
  if (held) return unseen && mine.target ? { ...mine, doing: 'asking' } : { ...fresh(call.id, 'held'), muted: mine.muted }
  if (mine.target && unseen && (TOGETHER.includes(mine.doing) || (ASKING.includes(mine.doing) && !mine.met && mine.kind !== 'number'))) return mine
  return { ...fresh(call.id, 'talking'), muted: mine.muted }
}
