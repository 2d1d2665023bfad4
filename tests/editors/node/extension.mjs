// Loads the extension with VS Code's own classes, says which tasks it offers
// for a workspace, and lets its language server work on a document.
//
//   node extension.mjs REQUEST.json
//
// REQUEST: { extension: DIR, workspace: DIR,
//            server?: { skep: PROGRAM, file: PATH, hover: [LINE, CHARACTER],
//                       complete: [LINE, CHARACTER], fixed: TEXT } }
// Prints { tasks, resolved, commands, server } as JSON.

import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import Module from 'node:module';
import path from 'node:path';

// Node has it as a global only from 19 on.
globalThis.crypto ??= webcrypto;

const api = '@codingame/monaco-vscode-api/vscode/vs/';
const types = await import(`${api}workbench/api/common/extHostTypes`);
const { URI } = await import(`${api}base/common/uri`);

const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const folder = { uri: URI.file(request.workspace), name: 'project', index: 0 };
const settings = { path: request.server?.skep ?? 'skep', languageServer: Boolean(request.server) };
const providers = {};
const commands = [];
const events = {};
const nothing = { dispose() {} };
const register = (name) => (...args) => {
  providers[name] = args.find((arg) => typeof arg === 'object' && !Array.isArray(arg));
  return nothing;
};
const listen = (name) => (listener) => {
  events[name] = listener;
  return nothing;
};

/** What the extension published, and who waits for it. */
const published = new Map();
let onPublished = () => {};
const log = [];

/** A document as VS Code shows it. */
const document = request.server && {
  uri: URI.file(path.join(request.workspace, request.server.file)),
  languageId: 'c',
  version: 1,
  text: fs.readFileSync(path.join(request.workspace, request.server.file), 'utf8'),
  getText() {
    return this.text;
  },
};

// What the extension sees as `vscode`: VS Code's types, and a workspace on
// the disk.
const vscode = {
  ...types,
  Uri: URI,
  EventEmitter: class {
    event = () => nothing;
    fire() {}
    dispose() {}
  },
  workspace: {
    workspaceFolders: [folder],
    textDocuments: document ? [document] : [],
    getConfiguration: () => ({ get: (key) => settings[key] }),
    async findFiles(pattern, exclude, limit) {
      const name = pattern.replace('**/', '');
      return fs.readdirSync(request.workspace, { recursive: true })
        .filter((file) => path.basename(file) === name)
        .sort()
        .slice(0, limit)
        .map((file) => URI.file(path.join(request.workspace, file)));
    },
    getWorkspaceFolder: () => folder,
    onDidOpenTextDocument: listen('open'),
    onDidCloseTextDocument: listen('close'),
    onDidSaveTextDocument: listen('save'),
    onDidChangeTextDocument: listen('change'),
  },
  tasks: {
    registerTaskProvider(type, provider) {
      providers.tasks = provider;
      return nothing;
    },
  },
  commands: {
    registerCommand(name) {
      commands.push(name);
      return nothing;
    },
  },
  window: { createOutputChannel: () => ({ ...nothing, appendLine: (line) => log.push(line) }) },
  languages: {
    getDiagnostics: () => [],
    match: () => 10,
    createDiagnosticCollection: () => ({
      ...nothing,
      set(uri, diagnostics) {
        published.set(path.relative(request.workspace, uri.fsPath), diagnostics);
        onPublished();
      },
    }),
    registerHoverProvider: register('hover'),
    registerCompletionItemProvider: register('completion'),
    registerCodeLensProvider: register('lenses'),
    registerInlayHintsProvider: register('hints'),
    registerCodeActionsProvider: register('actions'),
  },
};

const original = Module._load;
Module._load = (name, ...rest) => (name === 'vscode' ? vscode : original(name, ...rest));
const extension = createRequire(import.meta.url)(path.join(request.extension, 'extension.js'));
const context = { subscriptions: [] };
await extension.activate(context);

const plain = (task) => ({
  name: task.name,
  type: task.definition.type,
  process: task.execution.process,
  args: task.execution.args,
  cwd: task.execution.options.cwd,
  group: task.group?.id ?? null,
  matchers: task.problemMatchers,
});
const provider = providers.tasks;
const tasks = await provider.provideTasks();
const resolved = tasks.map((task) => {
  const bare = new types.Task(task.definition, task.scope, task.name, 'Workspace');
  return provider.resolveTask(bare);
});

/** Resolves when what was published is as wished. */
const until = (is) => new Promise((resolve) => {
  onPublished = () => is() && resolve();
  onPublished();
});

/** What the language server does for the document. */
async function server({ file, hover, complete, fixed }) {
  await until(() => published.get(file)?.length > 0);
  const diagnostics = [...published].flatMap(([name, all]) => all.map((diagnostic) => ({
    file: name,
    line: diagnostic.range.start.line,
    character: diagnostic.range.start.character,
    severity: diagnostic.severity,
    code: diagnostic.code,
    source: diagnostic.source,
    related: diagnostic.relatedInformation.length,
  })));
  const position = ([line, character]) => new types.Position(line, character);
  const hovered = await providers.hover.provideHover(document, position(hover));
  const { items } = await providers.completion.provideCompletionItems(
    document, position(complete),
  );
  const { range } = published.get(file)[0];
  const actions = await providers.actions.provideCodeActions(document, range);

  document.text = fixed;
  document.version += 1;
  events.change({ document });
  fs.writeFileSync(document.uri.fsPath, fixed);
  events.save(document);
  await until(() => published.get(file).length === 0);
  return {
    diagnostics,
    hover: hovered.contents.map((content) => content.value),
    completion: items.map((item) => item.label),
    actions: actions.map((action) => ({
      title: action.title,
      edits: action.edit.entries().map(([uri, edits]) => [path.basename(uri.fsPath), edits.length]),
    })),
  };
}

const served = request.server ? await server(request.server) : null;
await extension.deactivate();
console.log(JSON.stringify({
  tasks: tasks.map(plain),
  resolved: resolved.map(plain),
  commands,
  server: served,
  log,
}));
