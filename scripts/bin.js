#!/usr/bin/env node
// The command `postrider` of the npm package: runs on this Node if it is new enough, otherwise on the one of the
// npm package `node`, which is installed along where its script may run. Must be understood by old Nodes.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const NODE_MAJOR = 24
const cli = new URL('./src/cli.js', import.meta.url)

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) await import(cli.href)
else runOn(findNode())

function findNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve('node/package.json')
    return join(dirname(manifest), 'bin', 'node')
  } catch {
    return null
  }
}

function runOn(node) {
  if (!node) return fail('is not installed')
  const child = spawn(node, [cli.pathname, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('error', () => fail('has no program'))
  child.on('exit', (code, signal) =>
    signal ? process.kill(process.pid, signal) : process.exit(code),
  )
}

function fail(what) {
  console.error(`postrider: needs Node ${NODE_MAJOR}, and this is ${process.version}; the npm package node ${what}.
Install Node ${NODE_MAJOR}, or let npm run the script of that package: npm install-scripts approve node`)
  process.exit(1)
}
