/** The shapes of routing's API, as the OpenAPI document names them. */

export interface Reason {
  reason: string
  words: string
  facts: Record<string, string | number>
  hint: string
  hint_id: string
}

export interface QueueWhy {
  queue: string
  waiting: number
  could_take: number
  words: string
  reason: Reason | null
}

export interface AgentWhy {
  extension: string
  name: string
  state: string
  since: string | null
  available: boolean
  headline: string
  summary: Reason
  reasons: Reason[]
  queues: QueueWhy[]
  before: number
}

export interface WhyCandidate {
  extension: string
  name: string
  merit: number | null
  reason: Reason | null
}

/** What an agent can do, or where they belong; `revision` goes back with a change. */
export interface AgentSkills {
  extension: string
  skills: Record<string, number>
  revision: number
}

export interface AgentTeams {
  extension: string
  teams: string[]
  revision: number
}

export interface Named {
  name: string
  queues: string[]
}

export interface ItemWhy {
  interaction_id: string
  queue: string
  state: 'waiting' | 'resting' | 'offered' | 'talking'
  headline: string
  waited_s: number
  position: number
  ring: number
  rings: number
  asks_for: Record<string, number>
  teams: string[]
  only: string
  priority: number
  overtaken: number
  widens_in_s: number | null
  agents: WhyCandidate[]
  chosen: string
  reasons: Reason[]
  chosen_for: Reason[]
}

export type ForcedState = 'READY' | 'NOT_READY' | 'OFFLINE'

export interface StateAnswer {
  extension: string
  state: string
  reason: string
  wanted: string
}

export type Doing = 'talking' | 'held' | 'asking' | 'asked' | 'swapped' | 'conference' | 'gone' | 'ringing'
export type ControlAction = 'hold' | 'resume' | 'mute' | 'unmute' | 'complete' | 'abort' | 'swap' | 'conference' | 'park'
export type TargetKind = 'agent' | 'queue' | 'number' | 'entry'
export type Mode = 'monitor' | 'whisper' | 'barge' | 'leave'

export interface Handled {
  interaction_id: string
  extension: string
  doing: Doing
  muted: boolean
  target_kind: string
  target: string
}

export interface Target {
  kind: TargetKind
  name: string
  note: string
}

export interface BesideTalk {
  interaction_id: string
  extension: string
  agent: string
  mode: Mode
}

export interface Parked {
  interaction_id: string
  queue: string
  by: string
  at: string
  note: string
}

export interface PolicyProblem {
  line: number
  column: number
  path: string
  message: string
  suggestion: string
}

export interface PolicyVersion {
  version: number
  sha256: string
  author: string
  at: string
  note: string
  rollback_of: number | null
}

export interface Surge {
  on: boolean
  until: string | null
  left_s: number
  queues: string[]
  author: string
  since: string | null
  note: string
}

export interface Policy {
  version: number
  published: PolicyVersion | null
  text: string
  surge: Surge
  fault: string
}

export interface DryRunSide {
  position: number
  ring: number
  rings: number
  skills: Record<string, number>
  teams: string[]
  only: string
  points: number
  priority: number
  widens_in_s: number | null
  could_take: string[]
  free: number
  ever: number
  assigned: string
  leaves: string
}

export interface DryRunChange {
  interaction_id: string
  queue: string
  waited_s: number
  changed: boolean
  before: DryRunSide
  after: DryRunSide
}

export interface DryRun {
  summary: {
    waiting: number
    changed: number
    earlier: number
    later: number
    served_before: number
    served_after: number
    stuck_before: number
    stuck_after: number
    leaving: number
    unknown_queues: string[]
  }
  items: DryRunChange[]
  more: number
}
