// Runs a JavaScript or TypeScript tool behind walls that stand already. The result is JSON on file descriptor 3.
import fs from 'node:fs'
import path from 'node:path'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'

const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
const write = fs.writeSync.bind(fs)

function answer(document) {
  let text
  try {
    text = JSON.stringify(document)
  } catch (error) {
    text = JSON.stringify({ error: { type: 'TypeError', message: `The result is not JSON: ${error.message}` } })
  }
  const bytes = Buffer.from(text)
  for (let sent = 0; sent < bytes.length; ) sent += write(3, bytes, sent)
  process.exit(0)
}

function described(error) {
  const known = error instanceof Error
  return { type: known ? error.name : 'Error', message: known ? error.message : String(error), traceback: known ? String(error.stack) : '' }
}

function transpiled(source) {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 6)) return [source, 'tool.mts']
  try {
    const typescript = createRequire(path.join(request.modules || request.folder, 'tool.js'))('typescript')
    const options = { module: typescript.ModuleKind.ESNext, target: typescript.ScriptTarget.ES2022 }
    return [typescript.transpileModule(source, { compilerOptions: options }).outputText, 'tool.mjs']
  } catch {
    throw new Error(`Node ${process.versions.node} cannot run TypeScript by itself: use Node 22.6 or newer, or add the npm requirement 'typescript'.`)
  }
}

function exported(source, name) {
  // A tool need not export its function: what the server calls is exported for it.
  return new RegExp(`export\\s+(async\\s+)?function\\s+${name}\\b|export\\s*\\{[^}]*\\b${name}\\b|export\\s+const\\s+${name}\\b`).test(source)
    ? source
    : `${source}\nexport { ${name} }\n`
}

function plain(value) {
  if (value === undefined || value === null) return 'None'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

async function main() {
  const script = request.kind === 'script'
  let source = script ? request.source : exported(request.source, request.name)
  let file = 'tool.mjs'
  if (request.language === 'typescript') [source, file] = transpiled(source)
  const place = path.join(request.folder, file)
  fs.writeFileSync(place, source)
  if (request.modules) fs.symlinkSync(request.modules, path.join(request.folder, 'node_modules'))
  const module = await import(pathToFileURL(place).href)
  if (script) return { value: module.default === undefined ? null : inspect(module.default) }
  return { value: plain(await module[request.name](...request.order.map((name) => request.args[name]))) }
}

main().then(answer, (error) => answer({ error: described(error) }))
