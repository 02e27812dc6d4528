/** The console's addresses. Whoever is not logged in sees the log-in and comes back to where they wanted to go. */
import { createRouter, createWebHistory } from 'vue-router'
import { useSession } from '@/session'

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (_to, _from, saved) => saved ?? { top: 0 },
  routes: [
    { path: '/', name: 'home', redirect: () => (useSession().isAgent.value ? '/agent' : '/wallboard') },
    { path: '/login', name: 'login', component: () => import('@/pages/LoginPage.vue'), meta: { open: true } },
    { path: '/wallboard', name: 'wallboard', component: () => import('@/pages/WallboardPage.vue') },
    { path: '/agent', name: 'agent', component: () => import('@/pages/AgentPage.vue') },
    { path: '/calls', name: 'calls', component: () => import('@/pages/CallsPage.vue') },
    { path: '/calls/:id', name: 'call', component: () => import('@/pages/CallPage.vue'), props: true },
    { path: '/rules', name: 'rules', component: () => import('@/pages/PolicyPage.vue') },
    { path: '/:rest(.*)*', redirect: '/' },
  ],
})

router.beforeEach(async (to) => {
  const session = useSession()
  if (!session.known.value) await session.check()
  if (!session.me.value && !to.meta.open) return { name: 'login', query: to.path === '/' ? {} : { to: to.fullPath } }
  if (session.me.value && to.name === 'login') return { path: '/' }
  return true
})
