import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as keda from '@kubernetes-models/keda/keda.sh/v1alpha1'
import ipaddr from 'ipaddr.js'
import { Deployment } from 'kubernetes-models/apps/v1'
import { Job } from 'kubernetes-models/batch/v1'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1'
import { ConfigMap, Secret, Service } from 'kubernetes-models/v1'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import { type ConfiguredCommand, describeVariables, readConfig } from '../src/config/config.ts'
import { parseDatabaseUrl } from '../src/config/database-url.ts'
import { stopMsOf } from '../src/service/run-service.ts'
import { createTenant } from '../src/testing/data/tenant.ts'
import { createTestDatabase } from '../src/testing/wiring/database.ts'

const folder = join(import.meta.dirname, '../deploy/kubernetes')
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'))
const read = (file: string) => readFileSync(join(folder, file), 'utf8')

/** With the schemas that Kubernetes and KEDA publish. */
const MODELS = {
  Deployment,
  Job,
  PodDisruptionBudget,
  ConfigMap,
  NetworkPolicy,
  Secret,
  Service,
  ScaledObject: keda.ScaledObject,
  TriggerAuthentication: keda.TriggerAuthentication,
}

// biome-ignore lint/suspicious/noExplicitAny: checked by the schemas of the models
type Manifest = any
const manifests: Manifest[] = files
  .filter((file) => file !== 'kustomization.yaml')
  .flatMap((file) => parseAllDocuments(read(file)).map((document) => document.toJS()))

const one = (kind: string, name: string): Manifest => {
  const found = manifests.filter((m) => m.kind === kind && m.metadata.name === name)
  if (found.length !== 1) throw new Error(`${found.length} of ${kind} ${name}`)
  return found[0]
}

const PODS = [
  { command: 'api', of: one('Deployment', 'postrider-api'), portVariable: 'PORT' },
  { command: 'runner', of: one('Deployment', 'postrider-runner'), portVariable: 'RUNNER_PORT' },
  { command: 'migrate', of: one('Job', 'postrider-migrate'), portVariable: null },
] as const
const podOf = ({ of }: (typeof PODS)[number]) => of.spec.template.spec
const containerOf = (pod: (typeof PODS)[number]) => podOf(pod).containers[0]

const DATABASE_URL = 'postgres://user:password@host:5432/name'
const SECRETS: Record<string, string> = {
  API_DATABASE_URL: DATABASE_URL,
  RUNNER_DATABASE_URL: DATABASE_URL,
  MIGRATE_DATABASE_URL: DATABASE_URL,
  SCALER_DATABASE_URL: DATABASE_URL,
  SECRET_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  POSTRIDER_ADMIN_KEY: '0123456789abcdef'.repeat(3), // as of openssl rand -hex 24
}

/** What a container finds in its environment, given these secrets. */
function environmentOf(pod: (typeof PODS)[number], secrets = SECRETS): Record<string, string> {
  const { env, envFrom = [] } = containerOf(pod)
  const settings = envFrom.map(
    ({ configMapRef }: Manifest) => one('ConfigMap', configMapRef.name).data,
  )
  const own = env.map(({ name, value, valueFrom }: Manifest) => [
    name,
    value ?? secrets[valueFrom.secretKeyRef.key],
  ])
  return Object.assign({ NODE_ENV: 'production' }, ...settings, Object.fromEntries(own))
}

t.test('every manifest keeps to the schema of its kind, and the tag is in one place', async (t) => {
  for (const manifest of manifests) {
    const Model = MODELS[manifest.kind as keyof typeof MODELS] as new (
      m: object,
    ) => {
      apiVersion: string
      validate(): void
    }
    const model = new Model(manifest)
    t.equal(manifest.apiVersion, model.apiVersion)
    t.doesNotThrow(() => model.validate(), `${manifest.kind} ${manifest.metadata.name}`)
  }
  const broken = new Deployment({ ...PODS[0].of, spec: { replicas: 'two' } } as never)
  t.throws(() => broken.validate(), 'it does check')
  const { resources, images } = parse(read('kustomization.yaml'))
  const applied = files.filter((file) => !/^(kustomization|secret\.example)\.yaml$/.test(file))
  t.strictSame([...resources].sort(), applied.sort())
  for (const pod of PODS) t.equal(containerOf(pod).image, images[0].name)
})

t.test(
  'each process gets a configuration that it starts with, and variables that exist',
  async (t) => {
    const known = new Set<string>(describeVariables().map(({ name }) => name))
    for (const pod of PODS) {
      t.strictSame(containerOf(pod).args, [pod.command])
      const environment = environmentOf(pod)
      const config = readConfig(environment, pod.command as ConfiguredCommand)
      t.equal(config.databaseUrl, DATABASE_URL)
      for (const name of Object.keys(environment)) {
        t.ok(known.has(name) || name === 'OTEL_SERVICE_NAME', `${pod.command}: ${name}`)
      }
      const nothing = Object.fromEntries(Object.keys(SECRETS).map((name) => [name, '']))
      t.throws(
        () => readConfig(environmentOf(pod, nothing), pod.command as ConfiguredCommand),
        /DATABASE_URL is required/,
        'the example with nothing filled in starts nothing',
      )
    }
  },
)

t.test('the example names every secret that is used, and holds none', async (t) => {
  const { stringData } = one('Secret', 'postrider')
  const used = PODS.flatMap((pod) => containerOf(pod).env)
    .flatMap(({ valueFrom }: Manifest) => (valueFrom ? [valueFrom.secretKeyRef] : []))
    .concat(one('TriggerAuthentication', 'postrider-scaler').spec.secretTargetRef)
  t.strictSame(
    [...new Set(used.map(({ key }: Manifest) => key))].sort(),
    Object.keys(SECRETS).sort(),
  )
  t.ok(used.every(({ name }: Manifest) => name === 'postrider'))
  t.strictSame(stringData, Object.fromEntries(Object.keys(stringData).map((name) => [name, ''])))
  t.strictSame(Object.keys(stringData).sort(), Object.keys(SECRETS).sort())
  t.notOk('POSTRIDER_ADMIN_KEY' in environmentOf(PODS[1]), 'a runner needs no key')
})

t.test('probes and scrapers ask where the process listens', async (t) => {
  for (const pod of PODS) {
    if (!pod.portVariable) continue
    const { [pod.portVariable]: port, HOST: host } = environmentOf(pod)
    const { ports, livenessProbe, readinessProbe } = containerOf(pod)
    t.equal(host, '0.0.0.0')
    t.equal(String(ports[0].containerPort), port)
    t.match(livenessProbe.httpGet, { path: '/live', port: ports[0].name })
    t.match(readinessProbe.httpGet, { path: '/ready', port: ports[0].name })
    t.ok(readinessProbe.timeoutSeconds > 2, 'the answer that it is not ready takes 2 s')
    t.match(pod.of.spec.template.metadata.annotations, {
      'prometheus.io/port': port,
      'prometheus.io/path': '/metrics',
    })
  }
  const { ports, selector } = one('Service', 'postrider-api').spec
  t.equal(ports[0].targetPort, containerOf(PODS[0]).ports[0].name)
  t.strictSame(selector, PODS[0].of.spec.selector.matchLabels)
})

t.test('nothing is killed while it stops in good order', async (t) => {
  for (const pod of PODS.slice(0, 2)) {
    const { shutdownSeconds } = readConfig(environmentOf(pod), 'runner')
    const pause = containerOf(pod).lifecycle?.preStop.sleep.seconds ?? 0
    const seconds = stopMsOf({ shutdownSeconds }) / 1000 + pause
    t.ok(podOf(pod).terminationGracePeriodSeconds > seconds, `${pod.command}: ${seconds} s`)
  }
})

t.test('pods have no privileges, and labels that their selectors find', async (t) => {
  for (const pod of PODS) {
    t.match(podOf(pod), {
      automountServiceAccountToken: false,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        seccompProfile: { type: 'RuntimeDefault' },
      },
    })
    t.strictSame(containerOf(pod).securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    t.match(containerOf(pod).resources, { requests: { memory: /Mi$/ }, limits: { memory: /Mi$/ } })
    if (pod.portVariable) {
      const { labels } = pod.of.spec.template.metadata
      const { name } = pod.of.metadata
      t.strictSame(pod.of.spec.selector.matchLabels, labels)
      t.strictSame(one('PodDisruptionBudget', name).spec.selector.matchLabels, labels)
    }
  }
})

/** Whether the policies let a pod connect to a port of an address. */
function mayDial(labels: Record<string, string>, address: string, port: number): boolean {
  const isOf = ({ spec }: Manifest) =>
    Object.entries(spec.podSelector.matchLabels).every(([name, value]) => labels[name] === value)
  const includes = (cidr: string) => isInNetwork(address, cidr)
  return manifests
    .filter((one) => one.kind === 'NetworkPolicy' && isOf(one))
    .flatMap(({ spec }) => spec.egress)
    .some(({ to, ports }: Manifest) => {
      const isPort = ports.some(
        (one: Manifest) =>
          one.protocol === 'TCP' && port >= one.port && port <= (one.endPort ?? one.port),
      )
      const blocks = to?.map((one: Manifest) => one.ipBlock) as Manifest[] | undefined
      return (
        isPort &&
        (blocks?.some(({ cidr, except }) => includes(cidr) && !except.some(includes)) ?? true)
      )
    })
}

function isInNetwork(address: string, cidr: string): boolean {
  const [ip, network] = [ipaddr.parse(address), ipaddr.parseCIDR(cidr)]
  return ip.kind() === network[0].kind() && ip.match(network as never)
}

t.test('a runner reaches receivers on the internet, and inside only what it needs', async (t) => {
  const labelsOf = (pod: (typeof PODS)[number]) => pod.of.spec.template.metadata.labels
  const [api, runner, migrate] = PODS.map(labelsOf)
  for (const labels of [api, runner, migrate]) t.ok(mayDial(labels, '10.1.2.3', 5432), 'Postgres')
  for (const labels of [api, runner]) t.ok(mayDial(labels, '10.1.2.3', 6379), 'Redis')
  for (const receiver of ['203.0.113.9', '2001:db8::1']) {
    for (const port of [443, 8443]) {
      t.ok(mayDial(runner, receiver, port), `${receiver} ${port}`)
      t.notOk(mayDial(api, receiver, port), 'an API delivers nothing')
      t.notOk(mayDial(migrate, receiver, port))
    }
  }
  for (const inside of ['10.1.2.3', '172.20.0.1', '192.168.1.1', '169.254.169.254', '127.0.0.1']) {
    t.notOk(mayDial(runner, inside, 443), inside)
  }
  for (const inside of ['fd00::1', 'fe80::1', '::1']) t.notOk(mayDial(runner, inside, 443), inside)
})

t.test('what comes in comes to the port that is listened on', async (t) => {
  for (const pod of PODS.slice(0, 2)) {
    const { podSelector, ingress } = one('NetworkPolicy', pod.of.metadata.name).spec
    t.strictSame(podSelector.matchLabels, pod.of.spec.template.metadata.labels)
    t.strictSame(
      ingress.flatMap(({ ports }: Manifest) => ports.map(({ port }: Manifest) => port)),
      [containerOf(pod).ports[0].containerPort],
    )
  }
  const { podSelector, policyTypes, ingress } = one('NetworkPolicy', 'postrider').spec
  t.strictSame([policyTypes, ingress], [['Ingress', 'Egress'], undefined], 'all else is closed')
  for (const pod of PODS) {
    t.match(pod.of.spec.template.metadata.labels, podSelector.matchLabels)
  }
})

t.test('the scaler counts the deliveries that are due', async (t) => {
  const { pool } = await createTestDatabase(t)
  const { scaleTargetRef, triggers } = one('ScaledObject', 'postrider-runner').spec
  t.equal(scaleTargetRef.name, 'postrider-runner')
  const count = async () => Object.values((await pool.query(triggers[0].metadata.query)).rows[0])
  t.strictSame(await count(), [0])
  const tenant = await createTenant(pool)
  await tenant.addEndpoint({ url: 'http://127.0.0.1:1/' })
  await tenant.publish()
  await tenant.publish()
  await pool.query(
    `select postrider.publish($1, 'a.b', '1', deliver_at => now() + interval '1 hour')`,
    [tenant.key],
  )
  t.strictSame(await count(), [2])
})

t.test('the cluster of CloudNativePG answers no commit that one server alone has', async (t) => {
  const file = join(folder, '../cloudnativepg/cluster.yaml')
  const { apiVersion, kind, metadata, spec } = parse(readFileSync(file, 'utf8'))
  t.strictSame([apiVersion, kind], ['postgresql.cnpg.io/v1', 'Cluster'])
  t.equal(spec.instances, 3)
  t.strictSame(spec.postgresql.synchronous, {
    method: 'any',
    number: 1,
    dataDurability: 'required',
    failoverQuorum: true,
  })
  t.match(spec.affinity, { enablePodAntiAffinity: true, podAntiAffinityType: 'required' })
  for (const value of Object.values(spec.postgresql.parameters)) t.type(value, 'string')

  // What the page tells to put into the secret leads to the operator's service for the primary.
  const page = readFileSync(join(folder, '../../docs/how-to/high-availability.md'), 'utf8')
  const [url = ''] = /postgres:\/\/my_api[^\s']+-rw:[^\s']+/.exec(page) ?? []
  const { hosts } = parseDatabaseUrl(url)
  t.strictSame(
    hosts.map(({ name }) => name),
    [`${metadata.name}-rw:5432`],
  )
  t.equal(new URL(url).pathname, `/${spec.bootstrap.initdb.database}`)
})
