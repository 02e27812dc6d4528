/** Talks to the REST API. Every refusal becomes a `Problem` with the server's stable id. */
import type { CallDetail, CallRow, Me, Order, Page } from '@/types'

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
  setState: (ext: string, state: 'READY' | 'NOT_READY', reason = '') =>
    ask<void>('POST', `agents/${part(ext)}/state`, { state, reason }),
  finishWrapUp: (ext: string, disposition: string, note: string) =>
    ask<void>('POST', `agents/${part(ext)}/wrap-up`, { action: 'finish', disposition, note }),
  extendWrapUp: (ext: string, seconds: number) => ask<void>('POST', `agents/${part(ext)}/wrap-up`, { action: 'extend', seconds }),
}
