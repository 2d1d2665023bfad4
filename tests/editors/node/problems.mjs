// Runs our problem matchers as VS Code does, with VS Code's own code: its
// extension registry reads the extension's package.json, its parser reads
// .vscode/tasks.json, and its collectors turn output into markers.
//
//   node problems.mjs REQUEST.json
//
// REQUEST: { extension?: DIR, workspace: DIR, tasks?: FILE, output: TEXT,
//            matcher: "$skep" | the label of a task, watch?: bool }
// Prints { markers, complaints, matchers, tasks, states } as JSON.

import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

// Node has it as a global only from 19 on.
globalThis.crypto ??= webcrypto;

const api = '@codingame/monaco-vscode-api/vscode/vs/';
const load = (module) => import(api + module);
const { ProblemMatcherRegistry } = await load('workbench/contrib/tasks/common/problemMatcher');
const taskConfiguration = await load('workbench/contrib/tasks/common/taskConfiguration');
const { TaskDefinitionRegistry } = await load('workbench/contrib/tasks/common/taskDefinitionRegistry');
const { ExtensionsRegistry } = await load('workbench/services/extensions/common/extensionsRegistry');
const { ExtensionIdentifier } = await load('platform/extensions/common/extensions');
const { MarkerService } = await load('platform/markers/common/markerService');
const { MarkerSeverity } = await load('platform/markers/common/markers');
const { ValidationStatus } = await load('base/common/parsers');
const { Platform } = await load('base/common/platform');
const { Event } = await load('base/common/event');
const { URI } = await load('base/common/uri');
const { StartStopProblemCollector, WatchingProblemCollector } = await import(
  '@codingame/monaco-vscode-task-service-override/vscode/vs/workbench/contrib/tasks/common/problemCollectors'
);

const request = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const complaints = [];

// The extension's contributions, taken in as VS Code's extension host does.
function install(extension) {
  const manifest = JSON.parse(fs.readFileSync(path.join(extension, 'package.json'), 'utf8'));
  const description = {
    ...manifest,
    identifier: new ExtensionIdentifier(`${manifest.publisher}.${manifest.name}`),
    extensionLocation: URI.file(extension),
  };
  const known = new Map(ExtensionsRegistry.getExtensionPoints().map((point) => [point.name, point]));
  for (const [name, value] of Object.entries(manifest.contributes)) {
    const say = (message) => complaints.push(`${name}: ${message}`);
    const collector = { error: say, warn: say, info: say };
    known.get(name)?.acceptUsers([{ description, value, collector }]);
  }
}

if (request.extension) {
  install(request.extension);
  await ProblemMatcherRegistry.onReady();
}

// The workspace's tasks.
let tasks = [];
if (request.tasks) {
  const say = (message) => complaints.push(`tasks.json: ${message}`);
  const reporter = {
    status: new ValidationStatus(), info: say, warn: say, error: say, fatal: say, clearOutput() {},
  };
  const folder = { uri: URI.file(request.workspace), name: 'project', index: 0 };
  const parsed = taskConfiguration.parse(
    folder, undefined, Platform.Linux, JSON.parse(fs.readFileSync(request.tasks, 'utf8')), reporter,
    taskConfiguration.TaskConfigSource.TasksJson, { contextMatchesRules: () => true, getContext: () => ({ getValue: () => true }) },
  );
  tasks = [...parsed.custom, ...parsed.configured];
}

function chosen() {
  if (request.matcher.startsWith('$')) {
    return [ProblemMatcherRegistry.get(request.matcher.slice(1))];
  }
  return tasks.find((task) => task._label === request.matcher).configurationProperties.problemMatchers;
}

// VS Code resolves variables in a matcher before it runs.
const matchers = chosen().map((matcher) => ({
  ...matcher,
  filePrefix: matcher.filePrefix?.replace('${workspaceFolder}', request.workspace),
}));

const markerService = new MarkerService();
const modelService = { onModelAdded: Event.None, onModelRemoved: Event.None, getModels: () => [] };
const fileService = {
  async stat(uri) {
    return fs.statSync(uri.fsPath);
  },
};
const collector = request.watch
  ? new WatchingProblemCollector(matchers, markerService, modelService, fileService)
  : new StartStopProblemCollector(matchers, markerService, modelService, undefined, fileService);
const states = [];
collector.onDidStateChange((event) => states.push(event.kind));
if (request.watch) {
  collector.aboutToStart();
}
for (const line of request.output.split('\n')) {
  collector.processLine(line);
}
await collector.tail;
if (!request.watch) {
  collector.done();
}

const markers = markerService.read().map((marker) => ({
  file: path.relative(request.workspace, marker.resource.fsPath),
  line: marker.startLineNumber,
  column: marker.startColumn,
  endColumn: marker.endColumn,
  severity: MarkerSeverity.toString(marker.severity).toLowerCase(),
  code: marker.code,
  message: marker.message,
  source: marker.source,
}));
console.log(JSON.stringify({
  markers,
  states,
  complaints,
  matchers: ProblemMatcherRegistry.keys(),
  definitions: TaskDefinitionRegistry.all().map((definition) => definition.taskType),
  tasks: tasks.map((task) => ({
    label: task._label,
    process: task.command?.name,
    args: task.command?.args,
    cwd: task.command?.options?.cwd?.replace('${workspaceFolder}', request.workspace),
  })),
}));
