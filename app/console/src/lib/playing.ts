/** Which word is being said at a moment of the recording. Pure. */
import type { SaidTurn } from '@/types'

const LINGER_S = 0.35

/** The turn and word at `seconds`: the one being said, or the last one said within a moment; null in silence. */
export function wordAt(turns: SaidTurn[], seconds: number): { turn: number; word: number } | null {
  let found: { turn: number; word: number } | null = null
  let latest = -1
  turns.forEach((turn, i) => {
    if (turn.start_s > seconds || turn.end_s + LINGER_S < seconds) return
    turn.words.forEach((word, j) => {
      if (word.start_s <= seconds && word.start_s >= latest && seconds <= word.end_s + LINGER_S) {
        latest = word.start_s
        found = { turn: i, word: j }
      }
    })
  })
  return found
}
