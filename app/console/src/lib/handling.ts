/**
 * What an agent does with their caller now, as far as the live feed and the API's answers tell. Pure.
 *
 * The API answers each verb with what it came to; the feed tells what happens by itself: the caller is held or talks, and who
 * else is in the call; what the owner of the queues says of the call's hands (`doing`) is known after a reload, too. Invariant: what the feed tells later wins over an answer.
 */
import type { BoardAgent, BoardCall } from '@/types'
import type { Doing, Handled } from '@/typesRouting'

export type HandsDoing = Doing | 'helping'

export interface InHands {
  id: string
  doing: HandsDoing
  muted: boolean
  kind: string
  target: string
  /** The agent who was asked has been seen in the call. */
  met: boolean
  /** It was the other who asked: the call was not ours. */
  asked: boolean
}

const TOGETHER: HandsDoing[] = ['swapped', 'conference']
const ASKING: HandsDoing[] = ['asking', 'asked']

const fresh = (id: string, doing: HandsDoing): InHands => ({ id, doing, muted: false, kind: '', target: '', met: false, asked: false })

/** The call of an agent: the board's own word, else the one they are engaged with beside somebody. */
export function callOf(agent: BoardAgent | undefined, calls: Record<string, BoardCall>): BoardCall | undefined {
  if (!agent) return undefined
  const own = Object.values(calls).find((call) => call.agent === agent.id)
  return own ?? (agent.state === 'ENGAGED' ? calls[agent.call] : undefined)
}

/** Whoever else is in this call: an agent who is asked, who asks, or who is there already. */
export const otherIn = (agents: BoardAgent[], call: BoardCall, me: string): BoardAgent | undefined =>
  agents.find((agent) => agent.id !== me && agent.call === call.id && ['RESERVED', 'ENGAGED'].includes(agent.state))

export function afterAnswer(said: Handled, before: InHands | null): InHands {
  const met = before?.id === said.interaction_id && before.target === said.target && before.met
  return { id: said.interaction_id, doing: said.doing, muted: said.muted, kind: said.target_kind, target: said.target, met, asked: false }
}

/** What the feed makes of it; null when the agent has no caller (any more). */
export function afterFeed(now: InHands | null, call: BoardCall | undefined, other: BoardAgent | undefined, me: string): InHands | null {
  if (!call) return null
  const known = now?.id === call.id && now.doing !== 'gone' ? now : null
  if (['talking', 'held'].includes(call.state) && call.doing) {
    const with_ = { muted: call.muted, kind: call.target_kind, target: call.target, met: known?.met ?? false }
    if (call.doing_by === me) return { id: call.id, doing: call.doing as Doing, ...with_, asked: false }
    const third = call.doing === 'conference' && call.target_kind === 'agent' && call.target === me
    if (third) return { id: call.id, doing: 'conference', muted: known?.muted ?? false, kind: 'agent', target: call.doing_by, met: true, asked: true }
  }
  if (call.agent !== me) return beside(known, call, other)
  if (!['talking', 'held'].includes(call.state)) return null
  const held = call.state === 'held'
  const mine = known && (other || !known.asked) ? known : fresh(call.id, held ? 'held' : 'talking')
  if (mine.asked && other?.state === 'ENGAGED') return { ...mine, doing: 'conference', kind: 'agent', target: other.id }
  if (other && !mine.asked) {
    const named = mine.target ? mine : { ...mine, kind: 'agent', target: other.id }
    if (other.state === 'RESERVED') return { ...named, doing: 'asking', met: true }
    if (held) return { ...named, doing: 'asked', met: true }
    return { ...named, doing: TOGETHER.includes(mine.doing) ? mine.doing : 'swapped', met: true }
  }
  const unseen = mine.kind === 'number' || (!mine.met && mine.target !== '')
  if (held) return unseen && mine.target ? { ...mine, doing: 'asking' } : { ...fresh(call.id, 'held'), muted: mine.muted }
  const stays = TOGETHER.includes(mine.doing) || (ASKING.includes(mine.doing) && !mine.met && mine.kind !== 'number')
  if (mine.target && unseen && stays) return mine
  return { ...fresh(call.id, 'talking'), muted: mine.muted }
}

/** The board has given the call to somebody else while we are engaged with it. */
function beside(known: InHands | null, call: BoardCall, other: BoardAgent | undefined): InHands {
  if (!known) {
    const rings = ['offered', 'ringing'].includes(call.state) // somebody takes it over: we talk until they have answered
    return rings ? fresh(call.id, 'talking') : { ...fresh(call.id, 'helping'), kind: 'agent', target: call.agent, asked: true }
  }
  if (known.asked) return { ...known, doing: 'helping' }
  const joined = call.state === 'talking' && other?.id === call.agent && known.target !== ''
  return joined ? { ...known, doing: 'conference', met: true } : known
}
