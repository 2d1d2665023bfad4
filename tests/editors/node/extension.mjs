// Loads the extension with VS Code's own classes and says which tasks it
// offers for a workspace.
//
//   node extension.mjs REQUEST.json
//
// REQUEST: { extension: DIR, workspace: DIR }
// Prints { tasks, resolved, commands } as JSON.

import fs from 'node:fs';
import { createRequire } from 'node:module';
import Module from 'node:module';
import path from 'node:path';

const api = '@codingame/monaco-vscode-api/vscode/vs/';
const types = await import(`${api}workbench/api/common/extHostTypes`);
const { URI } = await import(`${api}base/common/uri`);

const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const folder = { uri: URI.file(request.workspace), name: 'project', index: 0 };
const providers = new Map();
const commands = [];
const nothing = { dispose() {} };

// What the extension sees as `vscode`: VS Code's types, and a workspace on
// the disk.
const vscode = {
  ...types,
  workspace: {
    getConfiguration: () => ({ get: (key) => (key === 'path' ? 'skep' : undefined) }),
    async findFiles(pattern, exclude, limit) {
      const name = pattern.replace('**/', '');
      return fs.readdirSync(request.workspace, { recursive: true })
        .filter((file) => path.basename(file) === name)
        .sort()
        .slice(0, limit)
        .map((file) => URI.file(path.join(request.workspace, file)));
    },
    getWorkspaceFolder: () => folder,
  },
  tasks: {
    registerTaskProvider(type, provider) {
      providers.set(type, provider);
      return nothing;
    },
  },
  commands: {
    registerCommand(name) {
      commands.push(name);
      return nothing;
    },
  },
  window: { createOutputChannel: () => nothing },
  languages: { getDiagnostics: () => [] },
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
const provider = providers.get('skep');
const tasks = await provider.provideTasks();
const resolved = tasks.map((task) => {
  const bare = new types.Task(task.definition, task.scope, task.name, 'Workspace');
  return provider.resolveTask(bare);
});
console.log(JSON.stringify({
  tasks: tasks.map(plain),
  resolved: resolved.map(plain),
  commands,
}));
