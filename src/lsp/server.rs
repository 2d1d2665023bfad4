//! The main loop: takes what the editor says, answers at once, and hands work
//! to the worker.

use super::text::Text;
use super::worker::{Refreshes, Worker};
use super::{about, complete, lens, uri};
use crate::diagnostics::{Diagnostic, Failure, Origin, codes};
use crate::events::Silent;
use crate::ops::{self, Session};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument,
    Notification as _,
};
use lsp_types::request::{
    CodeActionRequest, CodeLensRequest, Completion, HoverRequest, InlayHintRequest, Request as _,
};
use lsp_types::{
    CodeAction, CodeActionKind, CodeActionOptions, CodeActionOrCommand, CodeActionParams,
    CodeActionProviderCapability, CodeLens, CodeLensOptions, CodeLensParams, CompletionList,
    CompletionOptions, CompletionParams, CompletionResponse, DidChangeTextDocumentParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams, Hover,
    HoverContents, HoverParams, HoverProviderCapability, InitializeParams, InlayHint,
    InlayHintParams, MarkupContent, MarkupKind, OneOf, Range, SaveOptions, ServerCapabilities,
    TextDocumentPositionParams, TextDocumentSyncCapability, TextDocumentSyncKind,
    TextDocumentSyncOptions, TextDocumentSyncSaveOptions, Uri, WorkspaceEdit,
};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the main loop looks whether a signal came.
const TICK: Duration = Duration::from_millis(100);

/// Serves the editor at the other end of standard input and output, until it
/// says that it is done.
///
/// # Errors
/// Where what comes in is not the protocol.
pub fn serve(session: &Session) -> Result<(), Failure> {
    let (connection, threads) = Connection::stdio();
    let running = || !session.cancel.is_cancelled();
    let (id, params) = connection.initialize_start_while(running).map_err(not_an_editor)?;
    let params: InitializeParams = serde_json::from_value(params).map_err(not_an_editor)?;
    let answer = serde_json::json!({
        "capabilities": capabilities(),
        "serverInfo": { "name": "skep", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, answer).map_err(not_an_editor)?;

    let quiet = Session { sink: Arc::new(Silent), ..session.clone() };
    let sender = connection.sender.clone();
    // An editor that went away gets nothing any more.
    let outbox = Box::new(move |message| drop(sender.send(message)));
    let worker = Worker::start(quiet, outbox, refreshes(&params));
    let mut server = Server { worker, documents: HashMap::new() };
    let folders = folders(&params);
    let root = folders.iter().find_map(|folder| ops::ide::root_above(folder));
    server.worker.read_names(root.as_deref().unwrap_or(&session.cwd));
    for folder in folders {
        server.worker.ask_once(&folder.join("Skep.toml"));
    }
    loop {
        let message = match connection.receiver.recv_timeout(TICK) {
            Ok(message) => message,
            Err(error) if error.is_timeout() && running() => continue,
            // The editor went away, or a signal says to.
            Err(_) => break,
        };
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request).map_err(not_an_editor)? {
                    break;
                }
                let response = server.answer(request);
                if connection.sender.send(response.into()).is_err() {
                    break;
                }
            }
            Message::Notification(notification) => server.hear(notification),
            // We ask nothing.
            Message::Response(_) => {}
        }
    }
    drop(server);
    drop(connection);
    if running() {
        // The threads end with the streams; that one broke is no news now.
        drop(threads.join());
    }
    Ok(())
}

fn not_an_editor(error: impl std::fmt::Display) -> Failure {
    let message = format!("what is at the other end does not speak the protocol: {error}");
    Diagnostic::new(codes::USAGE, Origin::Command, message)
        .help("`skep lsp` is started by an editor; `skep ide EDITOR` sets some up")
        .into()
}

fn capabilities() -> ServerCapabilities {
    ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::FULL),
            save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions {
                include_text: Some(false),
            })),
            ..TextDocumentSyncOptions::default()
        })),
        code_lens_provider: Some(CodeLensOptions { resolve_provider: Some(false) }),
        inlay_hint_provider: Some(OneOf::Left(true)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(vec!["\"".to_owned(), "/".to_owned(), "?".to_owned()]),
            ..CompletionOptions::default()
        }),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
            ..CodeActionOptions::default()
        })),
        ..ServerCapabilities::default()
    }
}

/// What the editor lets itself be told to ask for again.
fn refreshes(params: &InitializeParams) -> Refreshes {
    let workspace = params.capabilities.workspace.as_ref();
    let lenses = workspace.and_then(|workspace| workspace.code_lens.as_ref()?.refresh_support);
    let hints = workspace.and_then(|workspace| workspace.inlay_hint.as_ref()?.refresh_support);
    Refreshes { lenses: lenses.unwrap_or(false), hints: hints.unwrap_or(false) }
}

/// The folders that the editor has open.
fn folders(params: &InitializeParams) -> Vec<PathBuf> {
    let folders = params.workspace_folders.iter().flatten().map(|folder| &folder.uri);
    #[expect(deprecated, reason = "older editors say only this")]
    let root = params.root_uri.iter();
    let mut paths: Vec<PathBuf> = folders.chain(root).filter_map(uri::to_path).collect();
    paths.sort();
    paths.dedup();
    paths
}

struct Server {
    worker: Worker,
    /// What is open, as it is shown.
    documents: HashMap<PathBuf, Text>,
}

impl Server {
    fn hear(&mut self, notification: Notification) {
        // What cannot be understood is not for us.
        match notification.method.as_str() {
            DidOpenTextDocument::METHOD => {
                let Some(params) = heard::<DidOpenTextDocumentParams>(notification) else { return };
                let Some(path) = uri::to_path(&params.text_document.uri) else { return };
                self.worker.ask_once(&path);
                self.documents.insert(path, Text::new(params.text_document.text));
            }
            DidChangeTextDocument::METHOD => {
                let Some(params) = heard::<DidChangeTextDocumentParams>(notification) else {
                    return;
                };
                let Some(path) = uri::to_path(&params.text_document.uri) else { return };
                // Changes are whole texts; the last one counts.
                if let Some(change) = params.content_changes.into_iter().next_back() {
                    self.documents.insert(path, Text::new(change.text));
                }
            }
            DidSaveTextDocument::METHOD => {
                let Some(params) = heard::<DidSaveTextDocumentParams>(notification) else { return };
                if let Some(path) = uri::to_path(&params.text_document.uri) {
                    self.worker.ask(&path);
                }
            }
            DidCloseTextDocument::METHOD => {
                let Some(params) = heard::<DidCloseTextDocumentParams>(notification) else {
                    return;
                };
                if let Some(path) = uri::to_path(&params.text_document.uri) {
                    self.documents.remove(&path);
                }
            }
            _ => {}
        }
    }

    fn answer(&self, request: Request) -> Response {
        let id = request.id.clone();
        match request.method.as_str() {
            CodeLensRequest::METHOD => reply(id, request.params, |params| self.lenses(params)),
            InlayHintRequest::METHOD => reply(id, request.params, |params| self.hints(params)),
            HoverRequest::METHOD => reply(id, request.params, |params| self.hover(params)),
            Completion::METHOD => reply(id, request.params, |params| self.complete(params)),
            CodeActionRequest::METHOD => reply(id, request.params, |params| self.actions(params)),
            method => {
                let message = format!("skep does not answer {method}");
                Response::new_err(id, ErrorCode::MethodNotFound as i32, message)
            }
        }
    }

    fn open(&self, at: &TextDocumentPositionParams) -> Option<(PathBuf, &Text)> {
        let path = uri::to_path(&at.text_document.uri)?;
        let text = self.documents.get(&path)?;
        Some((path, text))
    }

    fn hover(&self, params: HoverParams) -> Option<Hover> {
        let at = params.text_document_position_params;
        let (path, text) = self.open(&at)?;
        let names = self.worker.names();
        let (value, range) =
            about::about(text, at.position, ops::ide::oldest_kernel(&path), names.as_deref())?;
        let contents = MarkupContent { kind: MarkupKind::Markdown, value };
        Some(Hover { contents: HoverContents::Markup(contents), range: Some(range) })
    }

    fn complete(&self, params: CompletionParams) -> Option<CompletionResponse> {
        let at = params.text_document_position;
        let (path, text) = self.open(&at)?;
        let names = self.worker.names();
        let (items, is_incomplete) =
            complete::complete(text, at.position, ops::ide::oldest_kernel(&path), names.as_deref());
        Some(CompletionResponse::List(CompletionList { is_incomplete, items }))
    }

    fn lenses(&self, params: CodeLensParams) -> Option<Vec<CodeLens>> {
        let path = uri::to_path(&params.text_document.uri)?;
        let text = self.documents.get(&path)?;
        Some(lens::lenses(text, self.worker.verdicts(&path)?.as_slice()))
    }

    /// Only while the text is the one that was verified: elsewhere a hint
    /// would stand on another line.
    fn hints(&self, params: InlayHintParams) -> Option<Vec<InlayHint>> {
        let path = uri::to_path(&params.text_document.uri)?;
        let text = self.documents.get(&path)?;
        let costs = self.worker.costs(&path)?;
        let lines = costs.get(&path)?;
        let saved = ops::ide::existing(&path).ok()??;
        (saved == text.as_str().as_bytes()).then(|| lens::hints(text, lines, params.range))
    }

    /// The edits for what lies in a range. Only while the texts are those
    /// that the findings speak of: elsewhere an edit would hit the wrong line.
    #[expect(clippy::mutable_key_type, reason = "the protocol's own type; nothing mutates it")]
    fn actions(&self, params: CodeActionParams) -> Option<Vec<CodeActionOrCommand>> {
        let path = uri::to_path(&params.text_document.uri)?;
        let mut actions = Vec::new();
        for (findings, found) in self.worker.findings(&path) {
            for found in found.iter().filter(|found| touch(found.shown.range, params.range)) {
                for fix in &found.fixes {
                    let analysed = findings.text(&fix.file);
                    let shown = self.documents.get(&fix.file).map(Text::as_str).or(analysed);
                    let Some(uri) = uri::of_path(&fix.file).filter(|_| shown == analysed) else {
                        continue;
                    };
                    let changes: HashMap<Uri, _> = HashMap::from([(uri, vec![fix.edit.clone()])]);
                    let edit = WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() };
                    actions.push(CodeActionOrCommand::CodeAction(CodeAction {
                        title: fix.title.clone(),
                        kind: Some(CodeActionKind::QUICKFIX),
                        diagnostics: Some(vec![found.shown.clone()]),
                        edit: Some(edit),
                        is_preferred: Some(found.fixes.len() == 1),
                        ..CodeAction::default()
                    }));
                }
            }
        }
        Some(actions)
    }
}

/// Whether two ranges have a place in common; their ends count.
fn touch(a: Range, b: Range) -> bool {
    a.start <= b.end && b.start <= a.end
}

fn heard<P: DeserializeOwned>(notification: Notification) -> Option<P> {
    serde_json::from_value(notification.params).ok()
}

fn reply<P: DeserializeOwned, R: serde::Serialize>(
    id: RequestId,
    params: serde_json::Value,
    answer: impl FnOnce(P) -> R,
) -> Response {
    match serde_json::from_value(params) {
        Ok(params) => Response::new_ok(id, answer(params)),
        Err(error) => Response::new_err(id, ErrorCode::InvalidParams as i32, error.to_string()),
    }
}
