/** The shapes of the API and of the live feed, as the OpenAPI document and app/live/README.md name them. */

export type Role = 'agent' | 'supervisor' | 'admin'
export type AgentStateName = 'READY' | 'NOT_READY' | 'RESERVED' | 'ENGAGED' | 'WRAP_UP' | 'OFFLINE'
export type CallStateName = 'arrived' | 'menu' | 'waiting' | 'offered' | 'ringing' | 'talking' | 'held' | 'after'

export interface Me {
  user_id: string
  name: string
  roles: Role[]
  extension: string
  via: 'session' | 'token'
}

export interface BoardCall {
  id: string
  state: CallStateName
  since: string
  arrived_at: string
  ani: string
  caller_name: string
  dnis: string
  queue: string
  enqueued_at: string | null
  agent: string
  offer_id: string
  language: string
  level: string
  problem: string
  priority: number
  attempts: number
  order_no: string
  node: string
  recording: boolean
  /** What the agent `doing_by` does with it, where that says more than `state`. */
  doing: string
  doing_by: string
  muted: boolean
  target_kind: string
  target: string
}

export interface BoardAgent {
  id: string
  name: string
  state: AgentStateName
  reason: string
  since: string | null
  until: string | null
  reachable: boolean
  in_use: boolean
  call: string
  answered: number
  missed: number
  day: string
}

export interface BoardQueue {
  id: string
  waiting: number
  ringing: number
  talking: number
  oldest_at: string | null
  answered: number
  answered_in_t: number
  abandoned: number
  overflowed: number
  threshold_s: number
  day: string
}

export interface BoardAlert {
  id: string
  message: string
  since: string
}

export interface Board {
  calls: Record<string, BoardCall>
  agents: Record<string, BoardAgent>
  queues: Record<string, BoardQueue>
  alerts: Record<string, BoardAlert>
}

export type Section = keyof Board

export interface Money {
  minor: number
  currency: string
  exponent: number
  amount: string
}

export interface Words {
  en: string
  zh: string
}

export interface TrackingStep {
  at: string
  status: string
  place: string
  text: Words
}

export interface Parcel {
  shipment_id: string
  carrier: string
  tracking_no: string
  status: string
  stuck: boolean
  items: { sku: string; quantity: number }[]
  shipped_at: string | null
  expected_on: string | null
  delivered_at: string | null
  steps: TrackingStep[]
}

export interface OrderReturn {
  return_id: string
  kind: 'refund' | 'exchange'
  status: string
  late: boolean
  reason: string
  requested_at: string | null
  received_at: string | null
  refund: Money | null
  refund_due_on: string | null
  refunded_at: string | null
  replacement_sku: string | null
  replacement_tracking_no: string | null
}

export interface Order {
  order_id: string
  order_no: string
  shop: string
  status: string
  placed_at: string
  total: Money
  customer: { name: string; phones: string[]; language: string }
  lines: { sku: string; title: Words; quantity: number; unit_price: Money; total: Money }[]
  payments: { method: string; amount: Money; status: string; at: string | null }[]
  parcels: Parcel[]
  returns: OrderReturn[]
  likely_reason: string
  alerts: { what: string; subject: string; days: number }[]
  level: string
  may_tell: string[]
  stale: boolean
  notice: string
  version: number
  fetched_at: string
  age_s: number
}

export interface Candidate {
  order_id: string
  order_no: string
  status: string
  placed_at: string
  total: Money
  likely_reason: string
  score: number
  reasons: { what: string; points: number }[]
}

export interface Pop {
  kind: 'match' | 'several' | 'none' | 'unavailable'
  certain: boolean
  notice: string
  order: Order | null
  candidates: Candidate[]
}

/** What one offer's screen pop carries. Without `pop` the order is still being looked up. */
export interface CardMessage {
  offer_id: string
  interaction_id: string
  queue?: string
  extension?: string
  attempt?: number
  caller?: { number?: string; name?: string }
  language?: string
  level?: string
  problem?: string
  /** What the agent before wants known. */
  note?: string
  waited_s?: number
  made_at?: string
  pop?: Pop | null
}

export type Outcome = '' | 'accepted' | 'missed' | 'declined' | 'cancelled'

export interface OpenCard {
  card: CardMessage
  outcome: Outcome
}

export type LiveMessage =
  | { type: 'snapshot'; feed: string; seq: number; now: string; me: { name: string; extension: string; roles: Role[] }; board: Board }
  | { type: 'patch'; seq: number; set: Partial<{ [S in Section]: Board[S] }>; drop: Partial<Record<Section, string[]>> }
  | { type: 'card'; card: CardMessage; outcome: Outcome }
  | { type: 'card_outcome'; offer_id: string; outcome: Outcome }
  | { type: 'card_dismissed'; offer_id: string }
  | { type: 'error'; id: string; title: string }
  | { type: 'pong' }

export interface CallRow {
  id: string
  arrived_at: string
  answered_at: string | null
  ended_at: string | null
  state: 'open' | 'ended'
  reason: string
  ani: string
  caller_name: string
  masked: boolean
  dnis: string
  entry: string
  language: string
  queue: string
  agents: string[]
  wait_s: number | null
  talk_s: number | null
  disposition: string
  has_recording: boolean
  has_transcript: boolean
}

export interface Moment {
  seq: number
  at: string
  kind: string
  data: Record<string, unknown>
}

export interface SaidWord {
  text: string
  start_s: number
  end_s: number
  confidence: number
}

export interface SaidTurn {
  side: string
  start_s: number
  end_s: number
  text: string
  words: SaidWord[]
}

export interface CallDetail extends CallRow {
  hidden: boolean
  timeline: Moment[]
  recording: {
    id: string
    url: string
    seconds: number
    channels: number
    state: string
    starts_at: string | null
    reason: string
    sha256: string
  } | null
  transcript: { state: string; model: string; language: string; reason: string; turns: SaidTurn[] } | null
}

export interface Page<T> {
  items: T[]
  next: string | null
}
