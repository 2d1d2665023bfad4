// A small client of `skep lsp`: just what skep's server offers, so that the
// extension needs no packages and no build step.

'use strict';

const childProcess = require('node:child_process');
const vscode = require('vscode');

/** The documents that skep has something to say about. */
const SELECTOR = [
  { scheme: 'file', language: 'c' },
  { scheme: 'file', pattern: '**/{Skep,Cargo}.toml' },
];

/** How often a server that ended by itself is started again. */
const MAX_RESTARTS = 3;

/** Speaks JSON-RPC with a server over its standard input and output. */
class Connection {
  constructor(program, args, options, onNotification, onEnd) {
    this.waiting = new Map();
    this.nextId = 1;
    this.received = Buffer.alloc(0);
    this.onNotification = onNotification;
    this.ended = false;
    this.process = childProcess.spawn(program, args, options);
    const end = (reason) => {
      if (!this.ended) {
        this.ended = true;
        for (const { reject } of this.waiting.values()) {
          reject(new Error(reason));
        }
        this.waiting.clear();
        onEnd(reason);
      }
    };
    this.process.on('error', (error) => end(error.message));
    this.process.on('exit', (code, signal) => end(`it ended with ${signal || `exit code ${code}`}`));
    // A server that ended is reported once, by its end.
    this.process.stdin.on('error', () => {});
    this.process.stdout.on('data', (bytes) => this.take(bytes));
  }

  send(message) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
    this.process.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
    this.process.stdin.write(body);
  }

  notify(method, params) {
    if (!this.ended) {
      this.send({ method, params });
    }
  }

  request(method, params) {
    if (this.ended) {
      return Promise.reject(new Error('the server is not running'));
    }
    const id = this.nextId;
    this.nextId += 1;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.send({ id, method, params });
    });
  }

  take(bytes) {
    this.received = Buffer.concat([this.received, bytes]);
    for (;;) {
      const head = this.received.indexOf('\r\n\r\n');
      if (head < 0) {
        return;
      }
      const length = /Content-Length: *(\d+)/i.exec(this.received.toString('ascii', 0, head));
      const start = head + 4;
      const end = start + Number(length ? length[1] : 0);
      if (this.received.length < end) {
        return;
      }
      const body = this.received.toString('utf8', start, end);
      this.received = this.received.subarray(end);
      if (length) {
        this.dispatch(JSON.parse(body));
      }
    }
  }

  dispatch(message) {
    if (message.method !== undefined) {
      if (message.id === undefined) {
        this.onNotification(message.method, message.params);
      } else if (/^workspace\/\w+\/refresh$/.test(message.method)) {
        this.send({ id: message.id, result: null });
        this.onNotification(message.method, null);
      } else {
        this.send({ id: message.id, error: { code: -32601, message: 'not supported' } });
      }
      return;
    }
    const waiting = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (waiting && message.error) {
      waiting.reject(new Error(message.error.message));
    } else if (waiting) {
      waiting.resolve(message.result);
    }
  }

  /** Ends the server as the protocol wants it; kills it if that fails. */
  async stop() {
    if (this.ended) {
      return;
    }
    const patience = setTimeout(() => this.process.kill('SIGKILL'), 3000);
    try {
      await this.request('shutdown', null);
      this.notify('exit', null);
    } catch {
      // It is gone already.
    }
    this.process.once('exit', () => clearTimeout(patience));
    if (this.process.exitCode !== null) {
      clearTimeout(patience);
    }
  }
}

const toRange = (range) => new vscode.Range(
  range.start.line, range.start.character, range.end.line, range.end.character,
);
const toUri = (uri) => vscode.Uri.parse(uri);
const fromPosition = ({ line, character }) => ({ line, character });
const fromRange = ({ start, end }) => ({ start: fromPosition(start), end: fromPosition(end) });

/** The protocol counts severities and kinds from 1, VS Code from 0. */
function toDiagnostic(finding) {
  const diagnostic = new vscode.Diagnostic(
    toRange(finding.range), finding.message, finding.severity - 1,
  );
  diagnostic.source = finding.source;
  diagnostic.code = finding.code;
  diagnostic.relatedInformation = (finding.relatedInformation || []).map(
    ({ location, message }) => new vscode.DiagnosticRelatedInformation(
      new vscode.Location(toUri(location.uri), toRange(location.range)), message,
    ),
  );
  return diagnostic;
}

function toAction(action) {
  const made = new vscode.CodeAction(action.title, vscode.CodeActionKind.QuickFix);
  made.isPreferred = action.isPreferred;
  made.diagnostics = (action.diagnostics || []).map(toDiagnostic);
  made.edit = new vscode.WorkspaceEdit();
  for (const [uri, edits] of Object.entries(action.edit.changes)) {
    for (const edit of edits) {
      made.edit.replace(toUri(uri), toRange(edit.range), edit.newText);
    }
  }
  return made;
}

function toCompletion(item) {
  const made = new vscode.CompletionItem(item.label, item.kind - 1);
  made.detail = item.detail;
  made.filterText = item.filterText;
  made.insertText = item.textEdit.newText;
  made.range = toRange(item.textEdit.range);
  if (item.documentation) {
    made.documentation = new vscode.MarkdownString(item.documentation.value);
  }
  return made;
}

/** Runs `skep lsp` and shows what it says. */
class Client {
  constructor(program, output) {
    this.program = program;
    this.output = output;
    this.restarts = 0;
    this.stopped = false;
    this.diagnostics = vscode.languages.createDiagnosticCollection('skep');
    this.newLenses = new vscode.EventEmitter();
    this.newHints = new vscode.EventEmitter();
    const { workspace, languages } = vscode;
    const about = (document, act) => {
      if (languages.match(SELECTOR, document) > 0) {
        act(document);
      }
    };
    this.subscriptions = [
      this.diagnostics,
      this.newLenses,
      this.newHints,
      workspace.onDidOpenTextDocument((document) => about(document, () => this.opened(document))),
      workspace.onDidCloseTextDocument((document) => about(document, () => {
        this.tell('didClose', document);
      })),
      workspace.onDidSaveTextDocument((document) => about(document, () => {
        this.tell('didSave', document);
      })),
      workspace.onDidChangeTextDocument(({ document }) => about(document, () => {
        this.tell('didChange', document, { contentChanges: [{ text: document.getText() }] });
      })),
      languages.registerHoverProvider(SELECTOR, {
        provideHover: (document, position) => this.hover(document, position),
      }),
      languages.registerCompletionItemProvider(SELECTOR, {
        provideCompletionItems: (document, position) => this.complete(document, position),
      }, '"', '/', '?'),
      languages.registerCodeLensProvider(SELECTOR, {
        provideCodeLenses: (document) => this.lenses(document),
        onDidChangeCodeLenses: this.newLenses.event,
      }),
      languages.registerInlayHintsProvider(SELECTOR, {
        provideInlayHints: (document, range) => this.hints(document, range),
        onDidChangeInlayHints: this.newHints.event,
      }),
      languages.registerCodeActionsProvider(SELECTOR, {
        provideCodeActions: (document, range) => this.actions(document, range),
      }, { providedCodeActionKinds: [vscode.CodeActionKind.QuickFix] }),
    ];
    this.ready = this.start();
  }

  async start() {
    const folders = vscode.workspace.workspaceFolders || [];
    const cwd = folders.length > 0 ? folders[0].uri.fsPath : undefined;
    const connection = new Connection(
      this.program, ['lsp'], { cwd, stdio: ['pipe', 'pipe', 'ignore'] },
      (method, params) => this.heard(method, params),
      (reason) => this.ended(reason),
    );
    this.connection = connection;
    try {
      await connection.request('initialize', {
        processId: process.pid,
        capabilities: {
          workspace: {
            codeLens: { refreshSupport: true },
            inlayHint: { refreshSupport: true },
          },
        },
        workspaceFolders: folders.map(({ uri, name }) => ({ uri: uri.toString(), name })),
      });
    } catch {
      // Said by `ended`.
      return;
    }
    connection.notify('initialized', {});
    for (const document of vscode.workspace.textDocuments) {
      if (vscode.languages.match(SELECTOR, document) > 0) {
        this.opened(document);
      }
    }
  }

  heard(method, params) {
    if (method === 'textDocument/publishDiagnostics') {
      this.diagnostics.set(toUri(params.uri), params.diagnostics.map(toDiagnostic));
    } else if (method === 'workspace/codeLens/refresh') {
      this.newLenses.fire();
    } else if (method === 'workspace/inlayHint/refresh') {
      this.newHints.fire();
    } else if (method === 'window/logMessage') {
      this.output.appendLine(params.message);
    }
  }

  ended(reason) {
    if (this.stopped) {
      return;
    }
    this.output.appendLine(`the language server (${this.program} lsp) is gone: ${reason}`);
    if (this.restarts < MAX_RESTARTS) {
      this.restarts += 1;
      this.ready = this.start();
    }
  }

  opened(document) {
    this.connection.notify('textDocument/didOpen', {
      textDocument: {
        uri: document.uri.toString(),
        languageId: document.languageId,
        version: document.version,
        text: document.getText(),
      },
    });
  }

  tell(what, document, more) {
    this.connection.notify(`textDocument/${what}`, {
      textDocument: { uri: document.uri.toString(), version: document.version },
      ...more,
    });
  }

  /** An answer of the server's, or nothing if there is none to be had. */
  async ask(method, document, more) {
    try {
      const textDocument = { uri: document.uri.toString() };
      return await this.connection.request(`textDocument/${method}`, { textDocument, ...more });
    } catch {
      return null;
    }
  }

  async hover(document, position) {
    const found = await this.ask('hover', document, { position: fromPosition(position) });
    return found
      && new vscode.Hover(new vscode.MarkdownString(found.contents.value), toRange(found.range));
  }

  async complete(document, position) {
    const found = await this.ask('completion', document, { position: fromPosition(position) });
    const { items, isIncomplete } = found || { items: [], isIncomplete: false };
    return { items: items.map(toCompletion), isIncomplete };
  }

  async lenses(document) {
    const lenses = await this.ask('codeLens', document);
    return (lenses || []).map(({ range, command }) => new vscode.CodeLens(toRange(range), command));
  }

  async hints(document, range) {
    const hints = await this.ask('inlayHint', document, { range: fromRange(range) });
    return (hints || []).map((hint) => {
      const { line, character } = hint.position;
      const made = new vscode.InlayHint(new vscode.Position(line, character), hint.label);
      made.tooltip = hint.tooltip;
      made.paddingLeft = hint.paddingLeft;
      return made;
    });
  }

  async actions(document, range) {
    const context = { diagnostics: [] };
    const actions = await this.ask('codeAction', document, { range: fromRange(range), context });
    return (actions || []).map(toAction);
  }

  /** Ends the server and takes everything back. */
  async stop() {
    this.stopped = true;
    this.subscriptions.forEach((subscription) => subscription.dispose());
    await this.connection.stop();
  }
}

module.exports = { Client };
