// Runs the install scripts of npm packages, given by their folders, as
// `npm rebuild` does: preinstall, install, postinstall, each in the package's
// folder with the programs of the folders node_modules above it on PATH.
const { spawnSync } = require('child_process')
const fs = require('fs')
const path = require('path')

const top = process.cwd()

function programs(folder) {
  const out = []
  for (let dir = folder; dir.startsWith(top); dir = path.dirname(dir)) out.push(path.join(dir, 'node_modules', '.bin'))
  return out
}

function run(folder, pkg, event, script) {
  console.log(`> ${pkg.name}@${pkg.version} ${event}: ${script}`)
  const done = spawnSync('/bin/sh', ['-c', script], {
    cwd: folder,
    stdio: 'inherit',
    env: {
      ...process.env,
      INIT_CWD: top,
      PATH: [...programs(folder), process.env.PATH].join(':'),
      npm_lifecycle_event: event,
      npm_lifecycle_script: script,
      npm_node_execpath: process.execPath,
      npm_package_json: path.join(folder, 'package.json'),
      npm_package_name: pkg.name,
      npm_package_version: pkg.version,
    },
  })
  if (done.error) throw done.error
  if (done.status !== 0) {
    console.error(`${event} of ${pkg.name}@${pkg.version} ended with ${done.signal || `exit status ${done.status}`}`)
    process.exit(1)
  }
}

for (const name of process.argv.slice(2)) {
  const folder = path.resolve(name)
  const pkg = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'))
  const scripts = { ...pkg.scripts }
  const gyp = fs.existsSync(path.join(folder, 'binding.gyp')) && pkg.gypfile !== false
  if (gyp && !scripts.install && !scripts.preinstall) scripts.install = 'node-gyp rebuild'
  for (const event of ['preinstall', 'install', 'postinstall']) if (scripts[event]) run(folder, pkg, event, scripts[event])
}
