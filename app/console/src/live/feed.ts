/** Keeps one socket to the live feed open, resumes after a break, and holds what it told as reactive state. */
import { computed, nextTick, readonly, ref, shallowRef } from 'vue'
import { backoffMs, feedUrl, initialState, reduce } from '@/live/reducer'
import type { BoardAgent, BoardCall, LiveMessage } from '@/types'

export type Link = 'off' | 'connecting' | 'live' | 'lost'

const state = shallowRef(initialState())
const link = ref<Link>('off')
const asOf = ref(0)
let socket: WebSocket | null = null
let timer: ReturnType<typeof setTimeout> | undefined
let tries = 0
let wanted = false
let whenRefused: () => void = () => undefined

function connect(): void {
  clearTimeout(timer)
  if (!wanted) return
  link.value = tries === 0 ? 'connecting' : 'lost'
  const opened = new WebSocket(feedUrl(location.origin, state.value))
  let heard = false
  socket = opened
  opened.onmessage = (event: MessageEvent<string>) => {
    if (socket !== opened) return
    heard = true
    tries = 0
    const message = JSON.parse(event.data) as LiveMessage
    state.value = reduce(state.value, message, Date.now())
    asOf.value = Date.now()
    link.value = 'live'
    if (message.type === 'card') void tellShown(opened, message.card.offer_id)
  }
  opened.onclose = (event) => {
    if (socket !== opened) return
    socket = null
    if (!wanted) return
    link.value = 'lost'
    if (event.code === 4401 || !heard) whenRefused()
    timer = setTimeout(connect, backoffMs(tries++, Math.random()))
  }
}

/** Says that the card stands in the page: the telephone does not ring before. */
async function tellShown(opened: WebSocket, offerId: string): Promise<void> {
  await nextTick()
  if (opened.readyState === WebSocket.OPEN) opened.send(JSON.stringify({ type: 'shown', offer_id: offerId }))
}

/** Opens the feed; `refused` is called when the server may no longer know us. */
export function openFeed(refused: () => void): void {
  whenRefused = refused
  if (wanted) return
  wanted = true
  tries = 0
  connect()
}

export function closeFeed(): void {
  wanted = false
  clearTimeout(timer)
  socket?.close()
  socket = null
  link.value = 'off'
  state.value = initialState()
}

export function dismissCard(): void {
  const card = state.value.card
  if (!card) return
  state.value = { ...state.value, card: null }
  if (socket?.readyState === WebSocket.OPEN) {
    socket.send(JSON.stringify({ type: 'dismiss', offer_id: card.card.offer_id }))
  }
}

addEventListener('online', () => {
  if (wanted && !socket) connect()
})

export function useLive() {
  const board = computed(() => state.value.board)
  return {
    board,
    card: computed(() => state.value.card),
    calls: computed<BoardCall[]>(() => Object.values(board.value.calls)),
    agents: computed<BoardAgent[]>(() => Object.values(board.value.agents)),
    queues: computed(() => Object.values(board.value.queues).sort((a, b) => a.id.localeCompare(b.id))),
    alerts: computed(() => Object.values(board.value.alerts)),
    link: readonly(link),
    asOf: readonly(asOf),
    skewMs: computed(() => state.value.skewMs),
  }
}
