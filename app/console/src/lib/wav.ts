/** Reads loudness out of a PCM recording, to draw it. Pure. */

export interface Peaks {
  /** Loudness 0–1 for each channel, one figure for each column of the drawing. */
  channels: Float32Array[]
  seconds: number
}

/** The peaks of a 16-bit PCM WAV file in `columns` columns; null when it is something else. */
export function peaksOf(file: ArrayBuffer, columns: number): Peaks | null {
  const view = new DataView(file)
  const text = (at: number): string => String.fromCharCode(...new Uint8Array(file, at, 4))
  if (file.byteLength < 44 || text(0) !== 'RIFF' || text(8) !== 'WAVE') return null
  let at = 12
  let channels = 0
  let rate = 0
  while (at + 8 <= file.byteLength) {
    const name = text(at)
    const size = view.getUint32(at + 4, true)
    const body = at + 8
    if (name === 'fmt ') {
      if (view.getUint16(body, true) !== 1 || view.getUint16(body + 14, true) !== 16) return null
      channels = view.getUint16(body + 2, true)
      rate = view.getUint32(body + 4, true)
    } else if (name === 'data') {
      if (!channels || !rate) return null
      const bytes = Math.min(size, file.byteLength - body)
      const frames = Math.floor(bytes / (2 * channels))
      return { channels: loudness(new DataView(file, body, frames * 2 * channels), channels, frames, columns), seconds: frames / rate }
    }
    at = body + size + (size % 2)
  }
  return null
}

function loudness(view: DataView, channels: number, frames: number, columns: number): Float32Array[] {
  const found = Array.from({ length: channels }, () => new Float32Array(columns))
  if (!frames) return found
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * frames) / columns)
    const to = Math.max(from + 1, Math.floor(((column + 1) * frames) / columns))
    const step = Math.max(1, Math.floor((to - from) / 200))
    for (let channel = 0; channel < channels; channel++) {
      let peak = 0
      for (let frame = from; frame < to && frame < frames; frame += step) {
        peak = Math.max(peak, Math.abs(view.getInt16((frame * channels + channel) * 2, true)))
      }
      found[channel]![column] = peak / 32768
    }
  }
  return found
}
