// Put into every page before its own scripts: remembers when a card came and when it stood in the document, and can
// say what a person would read.
(() => {
  const now = () => performance.timeOrigin + performance.now()
  const seen = { frames: {}, shown: {} }
  window.seen = seen
  addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))

  const Native = window.WebSocket
  window.WebSocket = class extends Native {
    constructor(...given) {
      super(...given)
      this.addEventListener('message', (event) => {
        const message = JSON.parse(event.data)
        if (message.type === 'card') seen.frames[message.card.offer_id] ??= now()
      })
    }
  }
  new MutationObserver(() => {
    const card = document.querySelector('[data-testid=card]')
    if (card?.querySelector('[data-testid=card-order-no]')?.textContent) seen.shown[card.dataset.offerId] ??= now()
  }).observe(document, { childList: true, subtree: true })

  const visible = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
  window.readable = () => {
    const found = []
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT)
    for (let node = walker.currentNode; node; node = walker.nextNode()) {
      if (node.nodeType === Node.TEXT_NODE) {
        if (visible(node.parentElement)) found.push(node.textContent)
      } else if (visible(node)) {
        for (const name of ['aria-label', 'title', 'placeholder', 'aria-valuetext']) found.push(node.getAttribute(name) ?? '')
      }
    }
    return found.map((text) => text.trim().replace(/\s+/g, ' ')).filter(Boolean)
  }
  window.stickingOut = () => {
    const found = []
    const wide = document.documentElement.clientWidth
    if (document.documentElement.scrollWidth > wide) found.push(`the page is ${document.documentElement.scrollWidth} of ${wide} wide`)
    for (const element of document.querySelectorAll('body *')) {
      if (!visible(element) || element.closest('.visually-hidden, svg')) continue
      const box = element.getBoundingClientRect()
      if (box.width && (box.right > wide + 1 || box.left < -1) && !element.closest('.scroll-x')) found.push(`${element.className || element.tagName} ends at ${box.right} of ${wide}`)
      const style = getComputedStyle(element)
      const cut = element.scrollWidth > element.clientWidth + 1 && style.overflowX === 'hidden' && style.textOverflow !== 'ellipsis'
      if (cut && element.clientWidth && element.children.length === 0) found.push(`cut off: ${element.textContent.trim().slice(0, 60)}`)
    }
    return [...new Set(found)]
  }
})()
