// The extension proper: tasks of type `skep`, the language server, and what a
// code means. The problem matchers and the schema of Skep.toml need no code;
// package.json contributes them.

'use strict';

const childProcess = require('node:child_process');
const path = require('node:path');
const vscode = require('vscode');
const { Client } = require('./client');

const COMMANDS = ['build', 'check', 'verify'];

/** The skep to run, as the settings say. */
function program(scope) {
  return vscode.workspace.getConfiguration('skep', scope).get('path') || 'skep';
}

/**
 * A task that runs one command of skep in a directory. Its output goes
 * through the problem matcher `$skep`.
 */
function task(definition, scope, directory) {
  const name = path.basename(directory);
  const isRoot = scope.uri !== undefined && scope.uri.fsPath === directory;
  const made = new vscode.Task(
    definition,
    scope,
    isRoot ? definition.command : `${definition.command} (${name})`,
    'skep',
    new vscode.ProcessExecution(
      program(scope.uri),
      [definition.command, '--message-format', 'short', ...(definition.args || [])],
      { cwd: directory },
    ),
    ['$skep'],
  );
  if (definition.command === 'build') {
    made.group = vscode.TaskGroup.Build;
  }
  made.presentationOptions = { reveal: vscode.TaskRevealKind.Silent, clear: true };
  return made;
}

/** Offers build, check and verify for each project of the workspace. */
class TaskProvider {
  async provideTasks() {
    const manifests = await vscode.workspace.findFiles('**/Skep.toml', '**/target/**', 100);
    const tasks = [];
    for (const manifest of manifests) {
      const folder = vscode.workspace.getWorkspaceFolder(manifest);
      if (!folder) {
        continue;
      }
      const directory = path.dirname(manifest.fsPath);
      const below = path.relative(folder.uri.fsPath, directory);
      for (const command of COMMANDS) {
        const definition = { type: 'skep', command };
        if (below) {
          definition.directory = below;
        }
        tasks.push(task(definition, folder, directory));
      }
    }
    return tasks;
  }

  /** Completes a task that tasks.json names by its definition only. */
  resolveTask(known) {
    const { definition, scope } = known;
    if (!COMMANDS.includes(definition.command) || !scope || scope.uri === undefined) {
      return undefined;
    }
    const directory = path.join(scope.uri.fsPath, definition.directory || '');
    return task(definition, scope, directory);
  }
}

/** What `skep explain CODE` prints. */
function explanation(code, scope) {
  return new Promise((resolve) => {
    const args = ['explain', code, '--color', 'never'];
    childProcess.execFile(program(scope), args, { timeout: 10_000 }, (error, stdout, stderr) => {
      resolve(stdout || stderr || (error ? error.message : ''));
    });
  });
}

/** The code of skep's finding under the cursor. */
function codeAtCursor(editor) {
  const at = editor.selection.active;
  const here = vscode.languages
    .getDiagnostics(editor.document.uri)
    .filter((finding) => finding.source === 'skep' && finding.range.start.line <= at.line
      && at.line <= finding.range.end.line);
  const found = here.find((finding) => finding.range.contains(at)) || here[0];
  const code = found && (typeof found.code === 'object' ? found.code.value : found.code);
  return code === undefined ? undefined : String(code);
}

/** The command "skep: Explain a Code". */
async function explain(output, given) {
  const editor = vscode.window.activeTextEditor;
  const code = given || (editor && codeAtCursor(editor))
    || (await vscode.window.showInputBox({ prompt: 'The code of a finding', placeHolder: 'E0301' }));
  if (code) {
    output.clear();
    output.append(await explanation(code, editor && editor.document.uri));
    output.show(true);
  }
}

let client;

function activate(context) {
  const output = vscode.window.createOutputChannel('skep');
  context.subscriptions.push(
    output,
    vscode.tasks.registerTaskProvider('skep', new TaskProvider()),
    vscode.commands.registerCommand('skep.explain', (code) => explain(output, code)),
  );
  if (vscode.workspace.getConfiguration('skep').get('languageServer')) {
    client = new Client(program(), output);
  }
}

/** VS Code waits for what this returns before it ends. */
function deactivate() {
  return client && client.stop();
}

module.exports = { activate, deactivate };
