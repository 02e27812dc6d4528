/** What is different between two texts, line by line. Pure. */
export interface DiffLine {
  kind: 'same' | 'added' | 'removed'
  text: string
  /** Its number in the new text, or for what was removed in the old one. */
  line: number
}

const MOST = 1_500_000 // cells of the table; beyond it the middle is shown as replaced

/** The longest common lines stay, the rest was removed or added. */
export function diff(before: string, after: string): DiffLine[] {
  const a = before.replace(/\n$/, '').split('\n')
  const b = after.replace(/\n$/, '').split('\n')
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head++
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++
  const same = (line: number): DiffLine => ({ kind: 'same', text: b[line]!, line: line + 1 })
  const found: DiffLine[] = []
  for (let i = 0; i < head; i++) found.push(same(i))
  found.push(...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail), head))
  for (let i = b.length - tail; i < b.length; i++) found.push(same(i))
  return found
}

function middle(a: string[], b: string[], from: number): DiffLine[] {
  const removed = (i: number): DiffLine => ({ kind: 'removed', text: a[i]!, line: from + i + 1 })
  const added = (j: number): DiffLine => ({ kind: 'added', text: b[j]!, line: from + j + 1 })
  if (a.length * b.length > MOST) return [...a.map((_, i) => removed(i)), ...b.map((_, j) => added(j))]
  const width = b.length + 1
  const common = new Uint16Array((a.length + 1) * width)
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i * width + j] =
        a[i] === b[j] ? common[(i + 1) * width + j + 1]! + 1 : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!)
    }
  }
  const found: DiffLine[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ kind: 'same', text: b[j]!, line: from + j + 1 })
      i++
      j++
    } else if (j >= b.length || (i < a.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)) found.push(removed(i++))
    else found.push(added(j++))
  }
  return found
}

/** Only what changed, with `around` lines beside it; null stands for a gap. */
export function hunks(lines: DiffLine[], around = 2): (DiffLine | null)[] {
  const near = lines.map((_, i) => lines.slice(Math.max(0, i - around), i + around + 1).some((line) => line.kind !== 'same'))
  const found: (DiffLine | null)[] = []
  lines.forEach((line, i) => {
    if (near[i]) found.push(line)
    else if (found.length && found.at(-1) !== null) found.push(null)
  })
  if (found.at(-1) === null) found.pop()
  return found
}
