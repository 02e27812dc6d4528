/** Talks to the REST API. Every refusal becomes a `Problem` with the server's stable id. */
import type { CallDetail, CallRow, Me, Order, Page } from '@/types'
import type {
  AgentSkills,
  AgentTeams,
  AgentWhy,
  BesideTalk,
  ControlAction,
  DryRun,
  ForcedState,
  Handled,
  ItemWhy,
  Mode,
  Named,
  Parked,
  Policy,
  PolicyProblem,
  PolicyVersion,
  StateAnswer,
  Surge,
  Target,
} from '@/typesRouting'

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly id: string,
    title: string,
    readonly detail: string,
  ) {
    super(title)
  }
}

let whenLoggedOut: () => void = () => undefined

/** Called when the server no longer knows our session. */
export function onLoggedOut(call: () => void): void {
  whenLoggedOut = call
}

async function ask<T>(method: string, path: string, body?: unknown, quiet = false): Promise<T> {
  const headers: Record<string, string> = { 'X-Aftercall': '1', Accept: 'application/json' }
  if (body !== undefined) headers['Content-Type'] = 'application/json'
  let answer: Response
  try {
    answer = await fetch(`/api/${path}`, {
      method,
      headers,
      credentials: 'same-origin',
      signal: AbortSignal.timeout(12_000),
      ...(body !== undefined ? { body: JSON.stringify(body) } : {}),
    })
  } catch {
    throw new Problem(0, 'console:unreachable', 'The server cannot be reached.', '')
  }
  if (answer.status === 204) return undefined as T
  const document = (await answer.json().catch(() => ({}))) as Record<string, string>
  if (answer.ok) return document as T
  if (answer.status === 401 && !quiet) whenLoggedOut()
  throw new Problem(answer.status, document.id ?? 'console:unknown', document.title ?? answer.statusText, document.detail ?? '')
}

const part = encodeURIComponent

export const api = {
  me: () => ask<Me>('GET', 'me', undefined, true),
  logIn: (user: string, password: string) => ask<Me>('POST', 'login', { user, password }, true),
  logOut: () => ask<void>('POST', 'logout', undefined, true),
  calls: (query: { after?: string; limit?: number; queue?: string; agent?: string }) => {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '')
    return ask<Page<CallRow>>('GET', `calls?${new URLSearchParams(given.map(([k, v]) => [k, String(v)]))}`)
  },
  call: (id: string) => ask<CallDetail>('GET', `calls/${part(id)}`),
  order: (id: string) => ask<Order>('GET', `orders/${part(id)}`),
  setState: (ext: string, state: ForcedState, reason = '') =>
    ask<StateAnswer | undefined>('POST', `agents/${part(ext)}/state`, { state, reason }),
  finishWrapUp: (ext: string, disposition: string, note: string) =>
    ask<void>('POST', `agents/${part(ext)}/wrap-up`, { action: 'finish', disposition, note }),
  extendWrapUp: (ext: string, seconds: number) => ask<void>('POST', `agents/${part(ext)}/wrap-up`, { action: 'extend', seconds }),

  agentWhy: (ext: string) => ask<AgentWhy>('GET', `agents/${part(ext)}/why`),
  skills: () => ask<Page<Named>>('GET', 'skills'),
  teams: () => ask<Page<Named>>('GET', 'teams'),
  agentSkills: (ext: string) => ask<AgentSkills>('GET', `agents/${part(ext)}/skills`),
  agentTeams: (ext: string) => ask<AgentTeams>('GET', `agents/${part(ext)}/teams`),
  setSkills: (ext: string, skills: Record<string, number>, revision: number) =>
    ask<AgentSkills>('PUT', `agents/${part(ext)}/skills`, { skills, revision }),
  setTeams: (ext: string, teams: string[], revision: number) =>
    ask<AgentTeams>('PUT', `agents/${part(ext)}/teams`, { teams, revision }),
  moveItem: (id: string, queue: string) => ask<ItemWhy>('POST', `items/${part(id)}/move`, { queue }),
  giveItem: (id: string, extension: string) => ask<ItemWhy>('POST', `items/${part(id)}/give`, { extension }),
  itemWhy: (id: string) => ask<ItemWhy>('GET', `items/${part(id)}/why`),

  control: (id: string, action: ControlAction, note = '') => ask<Handled>('POST', `calls/${part(id)}/control`, { action, note }),
  transfer: (id: string, target: Target) => ask<Handled>('POST', `calls/${part(id)}/transfer`, named(target)),
  consult: (id: string, target: Target) => ask<Handled>('POST', `calls/${part(id)}/consult`, named(target)),
  parked: () => ask<Page<Parked>>('GET', 'parked'),
  fetchParked: (id: string) => ask<Handled>('POST', `calls/${part(id)}/fetch`, {}),
  takeOver: (id: string) => ask<Handled>('POST', `calls/${part(id)}/take-over`, {}),
  supervise: (id: string, mode: Mode) => ask<BesideTalk>('POST', `calls/${part(id)}/supervise`, { mode }),

  policy: () => ask<Policy>('GET', 'policies/current'),
  policyVersions: (after = '') => ask<Page<PolicyVersion>>('GET', `policies?limit=20${after && `&after=${part(after)}`}`),
  checkPolicy: (text: string) => ask<{ good: boolean; problems: PolicyProblem[] }>('POST', 'policies/check', { text }),
  dryRunPolicy: (text: string) => ask<DryRun>('POST', 'policies/dry-run', { text }),
  publishPolicy: (text: string, revision: number, note: string) => ask<Policy>('POST', 'policies', { text, revision, note }),
  rollBackPolicy: (version: number, revision: number, note: string) =>
    ask<Policy>('POST', `policies/${version}/rollback`, { revision, note }),
  surge: () => ask<Surge>('GET', 'surge'),
  turnSurge: (on: boolean, seconds: number, note: string) =>
    ask<Surge>('POST', 'surge', on ? { on, for_s: seconds, note } : { on, note }),
}

/** A target as the API takes it: one field named by its kind. */
const named = ({ kind, name, note }: Target): Record<string, string> => ({ [kind]: name, note })
