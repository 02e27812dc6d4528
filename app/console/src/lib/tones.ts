/** Which colour says what. Colour never says it alone: a word stands beside it everywhere. */
import type { AgentStateName, CallStateName } from '@/types'

export type Tone = 'green' | 'blue' | 'amber' | 'red' | 'violet' | 'slate'

export const agentTone: Record<AgentStateName, Tone> = {
  READY: 'green',
  NOT_READY: 'amber',
  RESERVED: 'violet',
  ENGAGED: 'blue',
  WRAP_UP: 'violet',
  OFFLINE: 'slate',
}

export const callTone: Record<CallStateName, Tone> = {
  arrived: 'slate',
  menu: 'slate',
  waiting: 'amber',
  offered: 'violet',
  ringing: 'violet',
  talking: 'blue',
  held: 'amber',
  after: 'slate',
}

const ORDER: Record<string, Tone> = {
  placed: 'slate',
  paid: 'slate',
  packed: 'slate',
  shipped: 'blue',
  in_transit: 'blue',
  out_for_delivery: 'blue',
  delivered: 'green',
  refunded: 'green',
  delayed: 'red',
  refund_late: 'red',
  partly_shipped: 'amber',
  return_requested: 'amber',
  return_received: 'amber',
  exchange: 'amber',
  cancelled: 'slate',
}

export const orderTone = (status: string): Tone => ORDER[status] ?? 'slate'

/** How worrying a wait is: calm up to the threshold, then amber, then red from three times of it. */
export function waitTone(seconds: number, thresholdS: number): Tone | null {
  if (seconds > thresholdS * 3) return 'red'
  return seconds > thresholdS ? 'amber' : null
}
