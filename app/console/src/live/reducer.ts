/**
 * What the console knows, from the live feed's messages alone. Pure: no socket, no clock, no framework.
 *
 * Invariant: snapshot + patches == fresh snapshot; a card stays until it is dismissed or replaced.
 */
import type { Board, LiveMessage, OpenCard, Section } from '@/types'

export interface LiveState {
  board: Board
  seq: number
  feed: string
  /** The server's time minus ours, in milliseconds. */
  skewMs: number
  card: OpenCard | null
}

export const emptyBoard = (): Board => ({ calls: {}, agents: {}, queues: {}, alerts: {} })

export const initialState = (): LiveState => ({ board: emptyBoard(), seq: -1, feed: '', skewMs: 0, card: null })

const SECTIONS: Section[] = ['calls', 'agents', 'queues', 'alerts']

function patched<S extends Section>(board: Board, section: S, set: Board[S] | undefined, drop: string[] | undefined): Board[S] {
  if (!set && !drop) return board[section]
  const values = { ...board[section], ...set } as Board[S]
  for (const id of drop ?? []) delete values[id]
  return values
}

/** The state after a message; `nowMs` is our clock when it came. Unknown messages change nothing. */
export function reduce(state: LiveState, message: LiveMessage, nowMs: number): LiveState {
  switch (message.type) {
    case 'snapshot':
      return {
        ...state,
        board: { ...emptyBoard(), ...message.board },
        seq: message.seq,
        feed: message.feed,
        skewMs: Date.parse(message.now) - nowMs,
      }
    case 'patch': {
      if (message.seq < state.seq) return state
      const board = { ...state.board }
      for (const section of SECTIONS) {
        Object.assign(board, { [section]: patched(state.board, section, message.set[section], message.drop[section]) })
      }
      return { ...state, board, seq: message.seq }
    }
    case 'card':
      return { ...state, card: { card: message.card, outcome: message.outcome } }
    case 'card_outcome':
      if (state.card?.card.offer_id !== message.offer_id) return state
      return { ...state, card: { ...state.card, outcome: message.outcome } }
    case 'card_dismissed':
      return state.card?.card.offer_id === message.offer_id ? { ...state, card: null } : state
    default:
      return state
  }
}

/** The address of the feed: where we were, if we were there before. */
export function feedUrl(base: string, state: LiveState): string {
  const url = base.replace(/^http/, 'ws') + '/api/live?tells=shown'
  return state.seq >= 0 ? `${url}&since=${state.seq}&feed=${encodeURIComponent(state.feed)}` : url
}

/** How long to wait before the n-th try, in milliseconds; `chance` in [0, 1) spreads many consoles. */
export function backoffMs(tries: number, chance: number): number {
  const longest = Math.min(5000, 250 * 2 ** Math.min(tries, 6))
  return Math.round(longest * (0.5 + chance / 2))
}
