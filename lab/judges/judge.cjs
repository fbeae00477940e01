// The judges that only Node has, behind one pipe: a line of JSON in, a line of JSON out, in order.
//
//   {"lint": "<text of a definition>"}                → {"findings": ["line 12: …"]}
//   {"parse": "<expression>"}                         → {"ast": {…}} or {"error": "S0201: …"}
//   {"evaluate": "<expression>", "now": ms, "cases": [{"states": …, "container": …}, …]}
//                                                     → {"answers": [{"value": …} | {} | {"error": "D3110", "message": "…"}]}
//
// {} is JSONata's undefined, which JSON can't say.
'use strict'
const jsonata = require('jsonata')
const { getLanguageService } = require('amazon-states-language-service')
const { TextDocument } = require('vscode-languageserver-textdocument')
const readline = require('node:readline')

const service = getLanguageService({})

async function lint(text) {
  const document = TextDocument.create('file:///definition.asl.json', 'asl', 1, text)
  const found = await service.doValidation(document, service.parseJSONDocument(document))
  return { findings: found.map(({ range, message }) => `line ${range.start.line + 1}: ${message}`) }
}

// A RegExp has no JSON.
const readable = (_, value) =>
  value instanceof RegExp ? { source: value.source, flags: value.flags } : typeof value === 'function' ? undefined : value

function parse(expression) {
  try {
    return { ast: jsonata(expression).ast() }
  } catch (error) {
    return { error: `${error.code}: ${error.message}, at character ${error.position}` }
  }
}

async function evaluate(expression, now, cases) {
  const answers = []
  const program = jsonata(expression)
  // Step Functions' own, and a clock that stands still.
  program.registerFunction('parse', (text) => (text === undefined ? undefined : JSON.parse(text)), '<s-:x>')
  program.registerFunction('millis', () => now, '<:n>')
  program.registerFunction('now', () => new Date(now).toISOString(), '<:s>')
  for (const bindings of cases) {
    try {
      const value = await program.evaluate(undefined, bindings)
      answers.push(value === undefined ? {} : { value })
    } catch (error) {
      answers.push({ error: error.code ?? error.name, message: String(error.message) })
    }
  }
  return { answers }
}

async function answer(asked) {
  if ('lint' in asked) return lint(asked.lint)
  if ('parse' in asked) return parse(asked.parse)
  return evaluate(asked.evaluate, asked.now, asked.cases)
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line)), readable) + '\n')
  }
}

main()
